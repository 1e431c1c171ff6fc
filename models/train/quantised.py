"""
Layers that compute in torch what their INT8 form computes in an engine: activations and weights rounded to 8-bit levels, the
gradient let through where nothing was clipped (the straight-through estimator: Bengio, Léonard, Courville, 2013). Post-training
quantisation is a network of these with the scales of {quantise}; training it on is quantisation-aware fine-tuning.

    weights       int8, a scale for each output: its largest weight / 127, taken anew at each step
    features      int8, 1/127, centred on the interval that all but one row in two thousand of the training rows keep to
    hidden state  int8, 1/127: |h| < 1 by its definition
    others        int8, one scale: the same share of training rows / 127; zero point 0, the form that onnxruntime, TensorRT and
                  the cpu engine all take

Biases, sums, cell, logits and states stay in 32 bits.
"""

import copy

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from network import run

REACH = 0.9995
"""Activations beyond this quantile of training rows are clipped: outliers would cost all others resolution."""
LEVELS = 127
SCALE_MIN = 1e-12
REACH_MIN = 1e-6
"""Of the interval of a feature that never moves."""


def weight_scales(weight):
    """A scale for each output of a weight [outputs, inputs]."""
    return weight.detach().abs().amax(1).clamp_min(SCALE_MIN) / LEVELS


def rounded_weight(weight):
    scales = weight_scales(weight)
    zeros = torch.zeros(len(scales), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, -LEVELS, LEVELS)


def rounded(x, scale):
    return torch.fake_quantize_per_tensor_affine(x, scale, 0, -LEVELS - 1, LEVELS)


class QuantisedLinear(nn.Module):
    """A linear layer with 8-bit weights on inputs in levels of `input_scale`."""

    def __init__(self, layer, input_scale):
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().clone())
        self.bias = nn.Parameter(layer.bias.detach().clone())
        self.input_scale = float(input_scale)

    def forward(self, x):
        return functional.linear(rounded(x, self.input_scale), rounded_weight(self.weight), self.bias)


class QuantisedInput(nn.Module):
    """A linear layer on the features, each in levels of its own interval: `middle` ± `reach` [F], of normalised features."""

    def __init__(self, weight, bias, middle, reach):
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone())
        self.register_buffer("middle", middle)
        self.register_buffer("reach", reach)

    def forward(self, x):
        centred = rounded(((x - self.middle) / self.reach).clamp(-1, 1), 1 / LEVELS)
        return functional.linear(centred, rounded_weight(self.weight * self.reach), self.bias + self.weight @ self.middle)


class QuantisedLstm(nn.Module):
    """An LSTM layer whose gates are computed from 8-bit features and an 8-bit hidden state. Gate order i, f, g, o."""

    def __init__(self, layer, middle, reach):
        super().__init__()
        self.hidden_size = layer.hidden_size
        self.input = QuantisedInput(layer.weight_ih_l0, layer.bias_ih_l0 + layer.bias_hh_l0, middle, reach)
        self.weight_hh = nn.Parameter(layer.weight_hh_l0.detach().clone())

    def forward(self, x, state=None):
        """x [B, T, F], state (h, c) of [1, B, H] each; returns [B, T, H] and the next state, as torch's layer does."""
        gates = self.input(x).unbind(1)
        recurrent = rounded_weight(self.weight_hh).t()
        empty = x.new_zeros(len(x), self.hidden_size)
        h, c = (empty, empty) if state is None else (state[0][0], state[1][0])
        outputs = []
        for of_input in gates:
            i, f, g, o = (of_input + rounded(h, 1 / LEVELS) @ recurrent).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs, 1), (h[None], c[None])


OBSERVED_ROWS = 8_192
"""Rows of each training capture that activations are looked at on, and as many mirrored."""
SAMPLES = 200_000


def observed_scales(network, captures):
    """Scales of the inputs of each linear layer but the head, over `captures`: normalised features [N, F] each."""
    seen = {}

    def watch(name):
        def hook(_, inputs):
            values = inputs[0].detach().abs().flatten()
            stride = max(1, len(values) // SAMPLES)
            seen.setdefault(name, []).append(values[::stride].numpy())

        return hook

    layers = {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear) and name != "head"}
    hooks = [module.register_forward_pre_hook(watch(name)) for name, module in layers.items()]
    for features in captures:
        run(network, features[:OBSERVED_ROWS])
    for hook in hooks:
        hook.remove()
    return {name: max(float(np.quantile(np.concatenate(values), REACH)), SCALE_MIN) / LEVELS for name, values in seen.items()}


def sampled(captures):
    """Every so manieth row of all captures one after another."""
    stride = max(1, sum(len(rows) for rows in captures) // SAMPLES)
    chosen, before = [], 0
    for rows in captures:
        chosen.append(rows[-before % stride :: stride])
        before += len(rows)
    return np.concatenate(chosen)


def quantise(network, captures):
    """
    The network with all its layers but the head in 8 bits, by post-training quantisation. `captures`: normalised features
    [N, F] of training rows, mirror images among them, one array for each capture.
    """
    scales = observed_scales(network, captures)
    low, high = np.quantile(sampled(captures), [1 - REACH, REACH], axis=0)
    middle = torch.from_numpy(((low + high) / 2).astype(np.float32))
    reach = torch.from_numpy(np.maximum((high - low) / 2, REACH_MIN).astype(np.float32))
    made = copy.deepcopy(network)
    first = {"encode", "embed"}
    for name, module in network.named_modules():
        if isinstance(module, nn.LSTM):
            layer = QuantisedLstm(module, middle, reach)
        elif isinstance(module, nn.Linear) and name in first:
            layer = QuantisedInput(module.weight, module.bias, middle, reach)
        elif isinstance(module, nn.Linear) and name != "head":
            layer = QuantisedLinear(module, scales[name])
        else:
            continue
        parent, _, own = name.rpartition(".")
        setattr(made.get_submodule(parent), own, layer)
    return made
