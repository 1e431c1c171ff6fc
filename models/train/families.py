"""
Step models beside the LSTM: each a residual whose output is added to the logits of the frozen linear branch, with what it
remembers in states of a fixed size.
"""

import torch
from torch import nn

from network import Axis, Network, Residual, lstm_axes


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
    """The same for one step: query [B, D], already scaled, keys and values [B, R, D]."""
    row = step.node("Reshape", [query, step.ints("as_row", [0, 1, -1])], "query_row")
    turned = step.node("Transpose", [keys], "keys_turned", perm=[0, 2, 1])
    scores = step.node("MatMul", [row, turned], "scores")
    aged = step.node("Add", [scores, step.parameter("age", age, [1, 1, len(age)])], "scores_aged")
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


class LstmAttention(Network):
    """An LSTM, and its newest state's attention over its last states."""

    REACH = 16

    def __init__(self, feature_count, head_count, hidden=48):
        super().__init__(feature_count, head_count, 2 * hidden, hidden=hidden)
        self.hidden = hidden
        self.lstm = nn.LSTM(feature_count, hidden, batch_first=True)
        self.query = nn.Linear(hidden, hidden)
        self.age = nn.Parameter(torch.zeros(self.REACH))

    def forward(self, features, state=None):
        past = features.new_zeros(len(features), self.REACH - 1, self.hidden) if state is None else state[2]
        hidden, (h, c) = self.lstm(self.input_dropout(features), None if state is None else state[:2])
        rows = torch.cat([past, hidden], 1)
        context = attend(self.query(hidden), rows, rows, self.age)
        logits = self.head(self.dropout(torch.cat([hidden, context], -1)))
        return logits, (h, c, rows[:, 1 - self.REACH :])

    def groups(self):
        # A past state is met by the query's unit of the same number: scaling either is the same.
        query = [Axis("query.weight", 1, outgoing=True), Axis("query.weight", 0, outgoing=True), Axis("query.bias", 0, outgoing=True)]
        return {"hidden": [*lstm_axes(), *query, Axis("head.weight", 1, 2, outgoing=True)]}

    def states(self):
        return [("h", [self.hidden]), ("c", [self.hidden]), ("past", [self.REACH - 1, self.hidden])]

    def body(self, step):
        step.lstm(self.lstm)
        rows = ring_step(step, "past", "h_next")
        query = step.linear("h_next", "query", self.query, self.hidden**-0.5)
        context = attend_step(step, query, rows, rows, self.age)
        return step.node("Concat", ["h_next", context], "residual", axis=1)


class Tcn(Network):
    """Causal dilated convolutions over rings of their inputs, each added to what it was given: the last 64 events count."""

    TAPS = 4
    DILATIONS = (1, 4, 16)

    def __init__(self, feature_count, head_count, width=48):
        super().__init__(feature_count, head_count, width, width=width)
        self.width = width
        self.encode = nn.Linear(feature_count, width)
        self.layers = nn.ModuleList(nn.Linear(self.TAPS * width, width) for _ in self.DILATIONS)

    def forward(self, features, state=None):
        x = torch.relu(self.encode(self.input_dropout(features)))
        steps, kept = features.shape[1], []
        for at, (layer, dilation) in enumerate(zip(self.layers, self.DILATIONS)):
            length = dilation * (self.TAPS - 1)
            ring = x.new_zeros(len(x), length, self.width) if state is None else state[at]
            rows = torch.cat([ring, x], 1)
            taps = [rows[:, tap * dilation : tap * dilation + steps] for tap in range(self.TAPS)]
            x = x + torch.relu(layer(torch.cat(taps, -1)))
            kept.append(rows[:, -length:])
        return self.head(self.dropout(x)), tuple(kept)

    def groups(self):
        axes = [Axis("encode.weight", 0), Axis("encode.bias", 0), Axis("head.weight", 1, outgoing=True)]
        for at in range(len(self.DILATIONS)):
            name = f"layers.{at}"
            taps = Axis(f"{name}.weight", 1, self.TAPS, outgoing=True)
            axes += [taps, Axis(f"{name}.weight", 0), Axis(f"{name}.bias", 0)]
        return {"width": axes}

    def states(self):
        return [
            (f"ring{dilation}", [dilation * (self.TAPS - 1), self.width]) for dilation in self.DILATIONS
        ]

    def body(self, step):
        x = step.node("Relu", [step.unit_linear("encoded", self.encode)], "level0")
        for at, (layer, dilation) in enumerate(zip(self.layers, self.DILATIONS)):
            rows = ring_step(step, f"ring{dilation}", x)
            chosen = step.ints(f"taps{dilation}", [tap * dilation for tap in range(self.TAPS)])
            taps = step.node("Gather", [rows, chosen], f"tapped{dilation}", axis=1)
            flat = step.node("Reshape", [taps, step.ints("flat", [0, -1])], f"field{dilation}")
            convolved = step.node("Relu", [step.linear(flat, f"convolved{dilation}", layer)], f"active{dilation}")
            x = step.node("Add", [x, convolved], f"level{at + 1}")
        return x


class Transformer(Network):
    """One causal block: attention over a ring of past keys and values, then a feed-forward layer, normalised before each."""

    WIDTH = 48
    REACH = 32

    def __init__(self, feature_count, head_count, key=WIDTH, value=WIDTH, wide=2 * WIDTH):
        super().__init__(feature_count, head_count, self.WIDTH, key=key, value=value, wide=wide)
        self.embed = nn.Linear(feature_count, self.WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(self.WIDTH) for _ in range(3))
        self.query = nn.Linear(self.WIDTH, key)
        self.key = nn.Linear(self.WIDTH, key)
        self.value = nn.Linear(self.WIDTH, value)
        self.project = nn.Linear(value, self.WIDTH)
        self.widen = nn.Linear(self.WIDTH, wide)
        self.narrow = nn.Linear(wide, self.WIDTH)
        self.age = nn.Parameter(torch.zeros(self.REACH))

    def forward(self, features, state=None):
        x = self.embed(self.input_dropout(features))
        normal = self.norms[0](x)
        if state is None:
            state = [x.new_zeros(len(x), self.REACH - 1, self.sizes[name]) for name in ("key", "value")]
        keys = torch.cat([state[0], self.key(normal)], 1)
        values = torch.cat([state[1], self.value(normal)], 1)
        x = x + self.project(attend(self.query(normal), keys, values, self.age))
        x = x + self.narrow(torch.relu(self.widen(self.norms[1](x))))
        kept = (keys[:, 1 - self.REACH :], values[:, 1 - self.REACH :])
        return self.head(self.dropout(self.norms[2](x))), kept

    def groups(self):
        def rows(name, outgoing=False):
            return [Axis(f"{name}.weight", 0, outgoing=outgoing), Axis(f"{name}.bias", 0, outgoing=outgoing)]

        return {
            # A key's unit counts as much as its product with the query's: scaling either is the same.
            "key": [*rows("query", outgoing=True), *rows("key")],
            "value": [*rows("value"), Axis("project.weight", 1, outgoing=True)],
            "wide": [*rows("widen"), Axis("narrow.weight", 1, outgoing=True)],
        }

    def states(self):
        return [("keys", [self.REACH - 1, self.sizes["key"]]), ("values", [self.REACH - 1, self.sizes["value"]])]

    def body(self, step):
        x = step.unit_linear("embedded", self.embed)
        normal = step.layer_norm(x, 0, self.norms[0])
        keys = ring_step(step, "keys", step.linear(normal, "key", self.key))
        values = ring_step(step, "values", step.linear(normal, "value", self.value))
        query = step.linear(normal, "query", self.query, self.sizes["key"] ** -0.5)
        context = attend_step(step, query, keys, values, self.age)
        attended = step.node("Add", [x, step.linear(context, "projected", self.project)], "attended")
        wide = step.node("Relu", [step.linear(step.layer_norm(attended, 1, self.norms[1]), "widened", self.widen)], "wide")
        mixed = step.node("Add", [attended, step.linear(wide, "narrowed", self.narrow)], "mixed")
        return step.layer_norm(mixed, 2, self.norms[2])


FAMILIES = {
    "lstm-residual": Residual,
    "lstm-attn": LstmAttention,
    "tcn": Tcn,
    "transformer": Transformer,
}
"""Families of residuals by the name they are asked for."""


def told(family, sizes):
    """What a card says of a network."""
    if family == "lstm-residual":
        return f"an LSTM residual of {sizes['hidden']} units"
    if family == "lstm-attn":
        return f"an LSTM residual of {sizes['hidden']} units with attention over its last {LstmAttention.REACH} states"
    if family == "tcn":
        return f"a causal convolution residual of {len(Tcn.DILATIONS)} layers of {sizes['width']} channels over 64 events"
    whole = sizes == {"key": Transformer.WIDTH, "value": Transformer.WIDTH, "wide": 2 * Transformer.WIDTH}
    left = "" if whole else f" ({sizes['key']} for keys, {sizes['value']} for values, {sizes['wide']} between)"
    return f"a residual of one causal transformer block of width {Transformer.WIDTH}{left} over {Transformer.REACH} events"
