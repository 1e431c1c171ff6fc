"""
Step models beside the LSTM: each a residual whose output is added to the logits of the frozen linear branch, with what it
remembers in states of a fixed size. A network takes normalised features [B, T, F] and its state, and gives logits [B, T, K] and
the next state; `states` and `body` say the same step by step as ONNX.
"""

import torch
from torch import nn

from network import DROPOUT, INPUT_DROPOUT


class Family(nn.Module):
    """Dropout and the head that begins at zero, as the LSTM's."""

    def __init__(self, width, head_count):
        super().__init__()
        self.head = nn.Linear(width, head_count)
        self.input_dropout = nn.Dropout(INPUT_DROPOUT)
        self.dropout = nn.Dropout(DROPOUT)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)


def attend(query, keys, values, age):
    """
    Each step's query [B, T, D] over the R rows that end with it: keys and values [B, R − 1 + T, D], `age` [R] is added to the
    scores, oldest first. Returns [B, T, D].
    """
    reach = len(age)
    past = keys.unfold(1, reach, 1)
    scores = (query.unsqueeze(2) @ past).squeeze(2) * query.shape[-1] ** -0.5 + age
    weights = torch.softmax(scores, dim=-1)
    return (values.unfold(1, reach, 1) @ weights.unsqueeze(-1)).squeeze(-1)


def attend_step(step, query, keys, values, age):
    """The same for one step: query [B, D], keys and values [B, R, D]."""
    width = age.shape[0]
    row = step.node("Reshape", [query, step.ints("as_row", [0, 1, -1])], "query_row")
    turned = step.node("Transpose", [keys], "keys_turned", perm=[0, 2, 1])
    scores = step.node("MatMul", [row, turned], "scores")
    aged = step.node("Add", [scores, step.constant("age", age.reshape(1, 1, width))], "scores_aged")
    weights = step.node("Softmax", [aged], "attention", axis=-1)
    context = step.node("MatMul", [weights, values], "context_row")
    return step.node("Reshape", [context, step.ints("flat", [0, -1])], "context")


def ring_step(step, ring, newest):
    """All rows of a ring and the newest [B, D] after them; keeps all but the oldest as the ring's next state."""
    row = step.node("Reshape", [newest, step.ints("as_row", [0, 1, -1])], f"{ring}_newest")
    rows = step.node("Concat", [ring, row], f"{ring}_rows", axis=1)
    bounds = [step.ints(name, value) for name, value in (("second", [1]), ("end", [1 << 20]))]
    step.node("Slice", [rows, *bounds, bounds[0]], f"{ring}_next")
    return rows


def weights(layer):
    """A linear layer as ([inputs, outputs], [outputs])."""
    return layer.weight.detach().numpy().T, layer.bias.detach().numpy()


class LstmAttention(Family):
    """An LSTM, and its newest state's attention over its last states."""

    HIDDEN = 48
    REACH = 16

    def __init__(self, feature_count, head_count):
        super().__init__(2 * self.HIDDEN, head_count)
        self.lstm = nn.LSTM(feature_count, self.HIDDEN, batch_first=True)
        self.query = nn.Linear(self.HIDDEN, self.HIDDEN)
        self.age = nn.Parameter(torch.zeros(self.REACH))

    def forward(self, features, state=None):
        past = features.new_zeros(len(features), self.REACH - 1, self.HIDDEN) if state is None else state[2]
        hidden, (h, c) = self.lstm(self.input_dropout(features), None if state is None else state[:2])
        rows = torch.cat([past, hidden], 1)
        context = attend(self.query(hidden), rows, rows, self.age)
        logits = self.head(self.dropout(torch.cat([hidden, context], -1)))
        return logits, (h, c, rows[:, 1 - self.REACH :])

    def states(self):
        return [("h", [self.HIDDEN]), ("c", [self.HIDDEN]), ("past", [self.REACH - 1, self.HIDDEN])]

    def body(self, step):
        step.lstm(self.lstm)
        rows = ring_step(step, "past", "h_next")
        query_weight, query_bias = weights(self.query)
        scale = self.HIDDEN**-0.5
        query = step.gemm("h_next", "query", query_weight * scale, query_bias * scale)
        context = attend_step(step, query, rows, rows, self.age.detach().numpy())
        return step.node("Concat", ["h_next", context], "residual", axis=1)


class Tcn(Family):
    """Causal dilated convolutions over rings of their inputs, each added to what it was given: the last 64 events count."""

    WIDTH = 48
    TAPS = 4
    DILATIONS = (1, 4, 16)

    def __init__(self, feature_count, head_count):
        super().__init__(self.WIDTH, head_count)
        self.encode = nn.Linear(feature_count, self.WIDTH)
        self.layers = nn.ModuleList(nn.Linear(self.TAPS * self.WIDTH, self.WIDTH) for _ in self.DILATIONS)

    def forward(self, features, state=None):
        x = torch.relu(self.encode(self.input_dropout(features)))
        steps, kept = features.shape[1], []
        for at, (layer, dilation) in enumerate(zip(self.layers, self.DILATIONS)):
            length = dilation * (self.TAPS - 1)
            ring = x.new_zeros(len(x), length, self.WIDTH) if state is None else state[at]
            rows = torch.cat([ring, x], 1)
            taps = [rows[:, tap * dilation : tap * dilation + steps] for tap in range(self.TAPS)]
            x = x + torch.relu(layer(torch.cat(taps, -1)))
            kept.append(rows[:, -length:])
        return self.head(self.dropout(x)), tuple(kept)

    def states(self):
        return [
            (f"ring{dilation}", [dilation * (self.TAPS - 1), self.WIDTH]) for dilation in self.DILATIONS
        ]

    def body(self, step):
        x = step.node("Relu", [step.unit_gemm("encoded", *weights(self.encode))], "level0")
        for at, (layer, dilation) in enumerate(zip(self.layers, self.DILATIONS)):
            rows = ring_step(step, f"ring{dilation}", x)
            chosen = step.ints(f"taps{dilation}", [tap * dilation for tap in range(self.TAPS)])
            taps = step.node("Gather", [rows, chosen], f"tapped{dilation}", axis=1)
            flat = step.node("Reshape", [taps, step.ints("flat", [0, -1])], f"field{dilation}")
            convolved = step.node("Relu", [step.gemm(flat, f"convolved{dilation}", *weights(layer))], f"active{dilation}")
            x = step.node("Add", [x, convolved], f"level{at + 1}")
        return x


class Transformer(Family):
    """One causal block: attention over a ring of past keys and values, then a feed-forward layer, normalised before each."""

    WIDTH = 48
    REACH = 32

    def __init__(self, feature_count, head_count):
        super().__init__(self.WIDTH, head_count)
        self.embed = nn.Linear(feature_count, self.WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(self.WIDTH) for _ in range(3))
        self.query = nn.Linear(self.WIDTH, self.WIDTH)
        self.key = nn.Linear(self.WIDTH, self.WIDTH)
        self.value = nn.Linear(self.WIDTH, self.WIDTH)
        self.project = nn.Linear(self.WIDTH, self.WIDTH)
        self.widen = nn.Linear(self.WIDTH, 2 * self.WIDTH)
        self.narrow = nn.Linear(2 * self.WIDTH, self.WIDTH)
        self.age = nn.Parameter(torch.zeros(self.REACH))

    def forward(self, features, state=None):
        x = self.embed(self.input_dropout(features))
        normal = self.norms[0](x)
        empty = x.new_zeros(len(x), self.REACH - 1, self.WIDTH)
        past_keys, past_values = (empty, empty) if state is None else state
        keys = torch.cat([past_keys, self.key(normal)], 1)
        values = torch.cat([past_values, self.value(normal)], 1)
        x = x + self.project(attend(self.query(normal), keys, values, self.age))
        x = x + self.narrow(torch.relu(self.widen(self.norms[1](x))))
        kept = (keys[:, 1 - self.REACH :], values[:, 1 - self.REACH :])
        return self.head(self.dropout(self.norms[2](x))), kept

    def states(self):
        return [("keys", [self.REACH - 1, self.WIDTH]), ("values", [self.REACH - 1, self.WIDTH])]

    def body(self, step):
        def norm(x, at):
            gain = step.constant(f"norm{at}_gain", self.norms[at].weight.detach().numpy())
            bias = step.constant(f"norm{at}_bias", self.norms[at].bias.detach().numpy())
            return step.node("LayerNormalization", [x, gain, bias], f"normal{at}", axis=-1, epsilon=self.norms[at].eps)

        x = step.unit_gemm("embedded", *weights(self.embed))
        normal = norm(x, 0)
        keys = ring_step(step, "keys", step.gemm(normal, "key", *weights(self.key)))
        values = ring_step(step, "values", step.gemm(normal, "value", *weights(self.value)))
        scale = self.WIDTH**-0.5
        query_weight, query_bias = weights(self.query)
        query = step.gemm(normal, "query", query_weight * scale, query_bias * scale)
        context = attend_step(step, query, keys, values, self.age.detach().numpy())
        attended = step.node("Add", [x, step.gemm(context, "projected", *weights(self.project))], "attended")
        wide = step.node("Relu", [step.gemm(norm(attended, 1), "widened", *weights(self.widen))], "wide")
        mixed = step.node("Add", [attended, step.gemm(wide, "narrowed", *weights(self.narrow))], "mixed")
        return norm(mixed, 2)

