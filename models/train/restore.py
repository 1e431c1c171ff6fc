"""
A shipped step model as a network of torch again, to be trained on: what {graph.py} wrote, read back. The graph holds all but
the mean and the deviation of each feature, which training rows give; calibration is in the weights and stays there.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

import graph
from families import FAMILIES
from linear import Bins, Branch, Normaliser, sigmoid
from network import run

STATES = {("h", "c"): "lstm-residual", ("h", "c", "past"): "lstm-attn", ("keys", "values"): "transformer"}
WORST_DIFFERENCE = 1e-4


@dataclass
class Restored:
    card: dict
    family: str
    branch: Branch
    network: torch.nn.Module

    def logits(self, features):
        """Calibrated logits [N, K] of one capture's raw features from the initial state on."""
        normalised = self.branch.normaliser(features)
        return self.branch.logits(normalised) + run(self.network, normalised)


class Reader:
    """Takes the place of {graph.Step}: where that writes a layer's weights, this one reads them into the layer."""

    def __init__(self, tensors, scale, shift):
        self.tensors, self.scale, self.shift = tensors, scale, shift

    def constant(self, name, value, dtype=None):
        return name

    ints = constant

    def node(self, op, inputs, output, **attributes):
        return output

    def put(self, parameter, value):
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32)).reshape(parameter.shape))

    def parameter(self, name, value, shape):
        self.put(value, self.tensors[name])
        return name

    def linear(self, x, output, layer, factor=1.0):
        self.put(layer.weight, self.tensors[f"{output}_weight"].T / factor)
        self.put(layer.bias, self.tensors[f"{output}_bias"] / factor)
        return output

    def normalised(self, weights, bias):
        """Weights [F, N] and bias for normalised features, from those for `unit`; a feature that never moves gets none."""
        moving = self.scale != 0
        of_normalised = np.where(moving[:, None], weights / np.where(moving, self.scale, 1)[:, None], 0)
        return of_normalised, bias - self.shift @ of_normalised

    def unit_linear(self, output, layer):
        weights, bias = self.normalised(self.tensors[f"{output}_weight"], self.tensors[f"{output}_bias"])
        self.put(layer.weight, weights.T)
        self.put(layer.bias, bias)
        return output

    def layer_norm(self, x, at, layer):
        self.put(layer.weight, self.tensors[f"norm{at}_gain"])
        self.put(layer.bias, self.tensors[f"norm{at}_bias"])
        return f"normal{at}"

    def lstm(self, layer):
        features = len(self.scale)
        weight = self.tensors["gate_weight"]
        of_features, bias = self.normalised(weight[:features], self.tensors["gate_bias"])
        self.put(layer.weight_ih_l0, of_features.T)
        self.put(layer.weight_hh_l0, weight[features:].T)
        self.put(layer.bias_ih_l0, bias)
        self.put(layer.bias_hh_l0, np.zeros_like(bias))


def sizes_of(family, states, tensors):
    if family in ("lstm-residual", "lstm-attn"):
        return {"hidden": states["h"][0]}
    if family == "tcn":
        return {"width": states["ring1"][1]}
    return {"key": states["keys"][1], "value": states["values"][1], "wide": tensors["widened_bias"].shape[0]}


def restore(folder, normaliser: Normaliser):
    """
    The f32 model in `folder` as a network. @throws ValueError when it is quantised, or when `normaliser` is not of the rows that it
    was trained on, so that the network would not answer as its card says.
    """
    folder = Path(folder)
    card = json.loads((folder / "card.json").read_text())
    model = onnx.load(folder / "model.onnx")
    tensors = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer}
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise ValueError(f"{folder}: a quantised model, expected one in f32")
    states = {state["name"]: state["shape"] for state in card["states"]}
    family = STATES.get(tuple(states), "tcn")
    features, heads = card["featureCount"], len(card["heads"])
    network = FAMILIES[family](features, heads, **sizes_of(family, states, tensors))

    low, high = normaliser.low.astype(np.float64), normaliser.high.astype(np.float64)
    scale, shift = (high - low) * normaliser.factor, (low - normaliser.mean) * normaliser.factor
    reader = Reader(tensors, scale, shift)
    network.body(reader)

    index = tensors["bin_feature"].astype(np.int64)
    factor = tensors["bin_factor"].reshape(-1) / scale[index]
    bins = Bins.of(index, factor, tensors["bin_offset"].reshape(-1) - factor * shift[index])
    weight, bias = tensors["logit_weight"], tensors["logit_bias"]
    linear = reader.normalised(weight[:features], bias)
    binned = weight[features : features + len(index)].astype(np.float32)
    reader.put(network.head.weight, weight[features + len(index) :].T)
    reader.put(network.head.bias, np.zeros(heads))
    branch = Branch(normaliser, bins, tuple(part.astype(np.float32) for part in linear), binned)

    restored = Restored(card, family, branch, network)
    rows = np.array(card["selfTest"]["features"], dtype=np.float32)
    worst = float(np.abs(sigmoid(restored.logits(rows)) - np.array(card["selfTest"]["probabilities"])).max())
    if not worst <= WORST_DIFFERENCE:
        raise ValueError(f"{folder}: differs from its self-test by {worst:.1e} on these training rows, expected at most {WORST_DIFFERENCE}")
    return restored


def rebuilt(restored):
    """The network's graph; calibration is in its weights already."""
    heads = len(restored.card["heads"])
    return graph.build(restored.branch, restored.network, (np.ones(heads), np.zeros(heads)))
