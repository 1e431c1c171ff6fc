"""Stateful training: truncated back-propagation through time on streams of contiguous rows, the state carried on as it is live."""

from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from parallel import Workers

UNROLL = 64
"""Steps that a gradient flows back."""
STREAM_ROWS = 1_024
STREAMS = 32
"""Streams of an update, over all processes."""
WEIGHT_DECAY = 0.1
GRADIENT_NORM_MAX = 1.0
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Setup:
    """
    How to compute; what is computed stays the same but for rounding and for which units dropout takes.

    precision: "bf16" or "fp16" for mixed precision (torch's autocast; fp16 needs a GPU and scales the loss), None for f32.
    accumulate: the streams of an update go through in so many parts, gradients added up: a part of the memory. Every stream's state
    is carried whatever the part. `device` as torch names it.
    """

    precision: str | None = None
    accumulate: int = 1
    device: str = "cpu"
    workers: Workers = field(default_factory=Workers)

    def __post_init__(self):
        if self.precision == "fp16" and not self.device.startswith("cuda"):
            raise ValueError("mixed precision in fp16 needs --device cuda; on a CPU take bf16")
        parts = self.accumulate * self.workers.count
        if self.accumulate < 1 or STREAMS % parts != 0:
            raise ValueError(
                f"{STREAMS} streams in {self.accumulate} parts on each of {self.workers.count} processes, expected a divisor of {STREAMS}"
            )

    def autocast(self):
        if self.precision is None:
            return nullcontext()
        return torch.autocast(self.device.partition(":")[0], dtype=PRECISIONS[self.precision])


def train(network, captures, mirror, epochs, rate, seed, evaluate, setup=Setup()):
    """
    Trains on streams of contiguous rows, half of them mirrored at random.

    captures: list of (normalised features [N, F], linear logits [N, K], labels [N, K], row weight, rows that begin anew). No stream
    reaches over one of those. `mirror` exchanges bid and ask in (features, logits, labels). `evaluate(network)` gives the score to maximise on the validation rows after each
    epoch; the first process asks it. The best epoch's weights are in the network at the end, on the CPU. Returns the scores.
    """
    workers = setup.workers
    rng = np.random.default_rng(seed)
    if workers.count > 1:
        network.load_state_dict(workers.from_first(network.state_dict))
        # Dropout of its own on each process; what all must decide alike comes from `rng`.
        torch.manual_seed(seed * workers.count + workers.rank)
    network.to(setup.device)
    parameters = list(network.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=WEIGHT_DECAY)
    scaler = torch.amp.GradScaler("cuda", enabled=setup.precision == "fp16")
    streams = [
        (at, start, end)
        for at, (features, _, _, _, starts) in enumerate(captures)
        for first, end in zip(starts, [*starts[1:], len(features)])
        for start in range(first, end - UNROLL, STREAM_ROWS)
    ]
    if len(streams) < STREAMS:
        raise ValueError(f"{len(streams)} streams of {STREAM_ROWS} rows, expected at least {STREAMS}")
    updates = epochs * (len(streams) // STREAMS) * (STREAM_ROWS // UNROLL)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=updates + 1, pct_start=0.1)
    best, best_weights, scores = -np.inf, None, []
    for _ in range(epochs):
        network.train()
        rng.shuffle(streams)
        for group in range(len(streams) // STREAMS):
            chosen = streams[group * STREAMS : (group + 1) * STREAMS]
            taken = workers.share([(at, start, end, rng.random() < 0.5) for at, start, end in chosen])
            batch = [_stream(captures[at], start, end, mirror, mirrored) for at, start, end, mirrored in taken]
            tensors = tuple(torch.from_numpy(np.stack(part)).to(setup.device) for part in zip(*batch))
            parts = [_Part(*each) for each in zip(*(tensor.chunk(setup.accumulate) for tensor in tensors))]
            for step in range(0, STREAM_ROWS, UNROLL):
                optimiser.zero_grad()
                for part in parts:
                    with setup.autocast():
                        loss = part.loss(network, slice(step, step + UNROLL))
                    scaler.scale(loss * (len(part.features) / STREAMS)).backward()
                workers.sum_gradients(parameters)
                scaler.unscale_(optimiser)
                nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM_MAX)
                scaler.step(optimiser)
                scaler.update()
                schedule.step()
        scores.append(workers.from_first(lambda: evaluate(network.cpu())))
        network.to(setup.device)
        if scores[-1] > best:
            best = scores[-1]
            best_weights = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(best_weights)
    network.cpu()
    return scores


class _Part:
    """Streams that go through together, and the state that they carry."""

    def __init__(self, features, linear, labels, weights):
        self.features, self.linear, self.labels, self.weights = features, linear, labels, weights
        self.state = None

    def loss(self, network, rows):
        residual, state = network(self.features[:, rows], self.state)
        self.state = tuple(value.detach() for value in state)
        losses = nn.functional.binary_cross_entropy_with_logits(
            self.linear[:, rows] + residual.float(), self.labels[:, rows], reduction="none"
        )
        return (losses.mean(-1) * self.weights[:, rows]).mean()


def _stream(capture, start, end, mirror, mirrored):
    """STREAM_ROWS rows from `start`; the last one before `end` is repeated at weight 0."""
    features, linear, labels, weight, _ = capture
    rows = np.minimum(np.arange(start, start + STREAM_ROWS), end - 1)
    weights = np.where(np.arange(start, start + STREAM_ROWS) < end, weight, 0).astype(np.float32)
    parts = (features[rows], linear[rows], labels[rows])
    if mirrored:
        parts = mirror(*parts)
    return (*(np.ascontiguousarray(part, dtype=np.float32) for part in parts), weights)
