"""The residuals: networks whose output is added to the logits of the frozen linear branch. Here what all have, and the LSTM."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

INPUT_DROPOUT = 0.0
DROPOUT = 0.2


@dataclass(frozen=True)
class Axis:
    """
    Where the units of a group lie in one parameter: along `dim`, `copies` times one after another. `outgoing` where they are what
    the parameter reads, so that scaling a unit's output is scaling these weights.
    """

    parameter: str
    dim: int
    copies: int = 1
    outgoing: bool = False


class Network(nn.Module, ABC):
    """
    A residual: normalised features [B, T, F] and its state to logits [B, T, K] and the next state. Dropout, and a head that begins
    at zero. `sizes` are the keyword arguments that make another of its shape; `states` and `body` say one step as ONNX.
    """

    def __init__(self, feature_count, head_count, head_inputs, **sizes):
        super().__init__()
        self.feature_count, self.head_count, self.sizes = feature_count, head_count, sizes
        self.head = nn.Linear(head_inputs, head_count)
        self.input_dropout = nn.Dropout(INPUT_DROPOUT)
        self.dropout = nn.Dropout(DROPOUT)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @abstractmethod
    def forward(self, features: torch.Tensor, state=None):
        """Logits of the rows, and the state after them; without a state from the initial one on."""

    @abstractmethod
    def groups(self) -> dict[str, list[Axis]]:
        """Units that can be dropped, by the name of the size that counts them."""

    @abstractmethod
    def states(self) -> list[tuple[str, list[int]]]:
        """Names and shapes of what is carried from step to step."""

    @abstractmethod
    def body(self, step) -> str:
        """The same for one step, as ONNX. @returns the name of what the head reads."""


def lstm_axes():
    """Where the units of the layer `lstm` lie in its own parameters."""
    gates = [Axis(f"lstm.{name}_l0", 0, 4) for name in ("weight_ih", "bias_ih", "bias_hh", "weight_hh")]
    return [*gates, Axis("lstm.weight_hh_l0", 1, outgoing=True)]


class Residual(Network):
    """An LSTM."""

    def __init__(self, feature_count, head_count, hidden=64):
        super().__init__(feature_count, head_count, hidden, hidden=hidden)
        self.lstm = nn.LSTM(feature_count, hidden, batch_first=True)

    def forward(self, features, state=None):
        hidden, state = self.lstm(self.input_dropout(features), state)
        return self.head(self.dropout(hidden)), state

    def groups(self):
        return {"hidden": [*lstm_axes(), Axis("head.weight", 1, outgoing=True)]}

    def states(self):
        return [("h", [self.lstm.hidden_size]), ("c", [self.lstm.hidden_size])]

    def body(self, step):
        step.lstm(self.lstm)
        return "h_next"


def run(network, features, starts=(0,)):
    """Residual logits [N, K] of one capture, as live: from the initial state on, and again before each row of `starts`."""
    network.eval()
    outputs = []
    with torch.no_grad():
        for first, end in zip(starts, [*starts[1:], len(features)]):
            state = None
            for start in range(first, end, 4_096):
                logits, state = network(torch.from_numpy(features[None, start : min(start + 4_096, end)]), state)
                outputs.append(logits[0].float().numpy())
    return np.concatenate(outputs)
