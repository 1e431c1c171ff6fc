"""The recurrent residual: an LSTM whose output is added to the logits of the frozen linear branch."""

import numpy as np
import torch
from torch import nn

UNROLL = 64
"""Steps that a gradient flows back; the state itself is carried on, as it is live."""
STREAM_ROWS = 1_024
STREAMS = 32
INPUT_DROPOUT = 0.2
DROPOUT = 0.4
WEIGHT_DECAY = 0.1


class Residual(nn.Module):
    def __init__(self, feature_count, hidden, head_count):
        super().__init__()
        self.lstm = nn.LSTM(feature_count, hidden, batch_first=True)
        self.head = nn.Linear(hidden, head_count)
        self.input_dropout = nn.Dropout(INPUT_DROPOUT)
        self.dropout = nn.Dropout(DROPOUT)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, features, state=None):
        hidden, state = self.lstm(self.input_dropout(features), state)
        return self.head(self.dropout(hidden)), state

    def states(self):
        """Names and shapes of what is carried from step to step."""
        return [("h", [self.lstm.hidden_size]), ("c", [self.lstm.hidden_size])]

    def body(self, step):
        """The same for one step, as ONNX. @returns the name of what the head reads."""
        step.lstm(self.lstm)
        return "h_next"


def run(network, features):
    """Residual logits [N, K] of one capture from the initial state on, as live."""
    network.eval()
    outputs, state = [], None
    with torch.no_grad():
        for start in range(0, len(features), 4_096):
            logits, state = network(torch.from_numpy(features[None, start : start + 4_096]), state)
            outputs.append(logits[0].numpy())
    return np.concatenate(outputs)


def train(network, captures, mirror, epochs, rate, seed, evaluate):
    """
    Trains on streams of contiguous rows, half of them mirrored at random.

    captures: list of (normalised features [N, F], linear logits [N, K], labels [N, K], row weight). `mirror` exchanges bid
    and ask in (features, logits, labels). `evaluate(network)` gives the score to maximise on the validation rows after each
    epoch. The best epoch's weights are in the network at the end. Returns the scores.
    """
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
    streams = [
        (at, start) for at, (features, *_) in enumerate(captures) for start in range(0, len(features) - UNROLL, STREAM_ROWS)
    ]
    updates = epochs * (len(streams) // STREAMS) * (STREAM_ROWS // UNROLL)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=updates + 1, pct_start=0.1)
    best, best_weights, scores = -np.inf, None, []
    for _ in range(epochs):
        network.train()
        rng.shuffle(streams)
        for group in range(len(streams) // STREAMS):
            batch = [
                _stream(captures[at], start, mirror, rng.random() < 0.5)
                for at, start in streams[group * STREAMS : (group + 1) * STREAMS]
            ]
            features, linear, labels, weights = (torch.from_numpy(np.stack(part)) for part in zip(*batch))
            state = None
            for step in range(0, STREAM_ROWS, UNROLL):
                part = slice(step, step + UNROLL)
                residual, state = network(features[:, part], state)
                state = tuple(value.detach() for value in state)
                losses = nn.functional.binary_cross_entropy_with_logits(
                    linear[:, part] + residual, labels[:, part], reduction="none"
                )
                loss = (losses.mean(-1) * weights[:, part]).mean()
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                schedule.step()
        scores.append(evaluate(network))
        if scores[-1] > best:
            best = scores[-1]
            best_weights = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(best_weights)
    return scores


def _stream(capture, start, mirror, mirrored):
    """STREAM_ROWS rows from `start`; a shorter rest is repeated at weight 0."""
    features, linear, labels, weight = capture
    rows = np.minimum(np.arange(start, start + STREAM_ROWS), len(features) - 1)
    weights = np.where(np.arange(start, start + STREAM_ROWS) < len(features), weight, 0).astype(np.float32)
    parts = (features[rows], linear[rows], labels[rows])
    if mirrored:
        parts = mirror(*parts)
    return (*(np.ascontiguousarray(part, dtype=np.float32) for part in parts), weights)
