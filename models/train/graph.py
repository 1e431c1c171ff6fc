"""
The step model as an ONNX graph, opset 17, written node by node so that it holds few kinds of operator. The LSTM residual has
Add, Clip, Concat, Equal, Gather, Gemm, Mul, Sigmoid, Split, Tanh and Where.

Inputs `features` [B, F] (raw, schema order) and the states, outputs `probabilities` [B, K] and the next states, `h` and `c`
[B, H] for the LSTM. Everything is inside:

    unit      = clip(features·f + o, 0, 1)            NaN counts as 0; 0 and 1 are the ends of each feature's clip interval
    bin       = clip(unit[index]·f + o, 0, 1)         piecewise-linear encoding of some features
    gates     = [unit, h]·W + b                       gate order i, f, g, o
    c_next    = σ(f)·c + σ(i)·tanh(g),  h_next = σ(o)·tanh(c_next)
    logits    = [unit, bin, h_next]·W + b             linear branch, bins and residual; calibration is in the weights

Where a layer is quantised, QuantizeLinear and DequantizeLinear stand around its Gemm, for the features with an interval of
their own each:

    centred   = clip(unit·f + o, −1, 1) → int8, 1/127
    h         → int8, 1/127
    gates     = centred·W_x + b + h·W_h                W_x, W_h int8, a scale for each output
"""

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from quantised import LEVELS, QuantisedInput, QuantisedLinear, QuantisedLstm


def array(tensor):
    return tensor.detach().numpy()


class Step:
    """Collects nodes and constants of a step, beginning with `unit` and `bin`."""

    def __init__(self, normaliser, bins):
        self.nodes = []
        self.constants = {}
        self.rounded = set()
        low, high = normaliser.low.astype(np.float64), normaliser.high.astype(np.float64)
        self.features = len(low)
        # In double precision: normalised = unit·scale + shift, and what multiplies normalised features takes that in.
        self.scale = (high - low) * normaliser.factor
        self.shift = (low - normaliser.mean) * normaliser.factor

        zero, one = self.constant("zero", 0.0), self.constant("one", 1.0)
        self.node("Equal", ["features", "features"], "known")
        self.node("Where", ["known", "features", zero], "finite")
        self.node("Mul", ["finite", self.constant("unit_factor", 1 / (high - low))], "unit_scaled")
        self.node("Add", ["unit_scaled", self.constant("unit_offset", -low / (high - low))], "unit_open")
        self.node("Clip", ["unit_open", zero, one], "unit")

        self.node("Gather", ["unit", self.ints("bin_feature", bins.index)], "bin_input", axis=1)
        bin_factor = self.constant("bin_factor", bins.factor * self.scale[bins.index])
        self.node("Mul", ["bin_input", bin_factor], "bin_scaled")
        bin_offset = bins.offset + bins.factor * self.shift[bins.index]
        self.node("Add", ["bin_scaled", self.constant("bin_offset", bin_offset)], "bin_open")
        self.node("Clip", ["bin_open", zero, one], "bin")

    def constant(self, name, value, dtype=np.float32):
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value, dtype=dtype), name)
        return name

    def ints(self, name, value):
        return self.constant(name, value, np.int64)

    def node(self, op, inputs, output, **attributes):
        outputs = output if isinstance(output, list) else [output]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], **attributes))
        return output

    def unit_affine(self, weights, bias):
        """What multiplies normalised features, for `unit`."""
        weights = weights.astype(np.float64)
        return self.scale[:, None] * weights, bias.astype(np.float64) + self.shift @ weights

    def parameter(self, name, value, shape):
        return self.constant(name, array(value).reshape(shape))

    def gemm(self, x, output, weights, bias):
        """x·weights + bias; weights [inputs, outputs]."""
        return self.node("Gemm", [x, self.constant(f"{output}_weight", weights), self.constant(f"{output}_bias", bias)], output)

    def linear(self, x, output, layer, factor=1.0):
        """A linear layer of torch on `x`, times `factor`."""
        weight, bias = array(layer.weight).T.astype(np.float64) * factor, array(layer.bias) * factor
        if isinstance(layer, QuantisedLinear):
            return self.gemm_int8(self.levels(x, layer.input_scale), output, weight, bias)
        return self.gemm(x, output, weight, bias)

    def unit_linear(self, output, layer):
        """A linear layer of torch on normalised features."""
        if isinstance(layer, QuantisedInput):
            return self.centred_gemm(output, layer)
        return self.gemm("unit", output, *self.unit_affine(array(layer.weight).T, array(layer.bias)))

    def layer_norm(self, x, at, layer):
        gain, bias = self.parameter(f"norm{at}_gain", layer.weight, -1), self.parameter(f"norm{at}_bias", layer.bias, -1)
        return self.node("LayerNormalization", [x, gain, bias], f"normal{at}", axis=-1, epsilon=layer.eps)

    def levels(self, x, scale):
        """`x` rounded to 8-bit levels of `scale`; made once, whoever reads it."""
        if f"{x}_rounded" not in self.rounded:
            step, zero = self.constant(f"{x}_step", scale), self.constant("level_zero", 0, np.int8)
            self.node("QuantizeLinear", [x, step, zero], f"{x}_levels")
            self.rounded.add(self.node("DequantizeLinear", [f"{x}_levels", step, zero], f"{x}_rounded"))
        return f"{x}_rounded"

    def gemm_int8(self, x, output, weights, bias=None):
        """x·weights + bias with `weights` [inputs, outputs] as int8 levels, a scale for each output."""
        scale = (np.maximum(np.abs(weights).max(axis=0), 1e-12) / LEVELS).astype(np.float32)
        levels = self.constant(f"{output}_weight_levels", np.rint(weights / scale), np.int8)
        zeros = self.constant(f"{output}_weight_zeros", np.zeros(len(scale)), np.int8)
        scales = self.constant(f"{output}_weight_scales", scale)
        weight = self.node("DequantizeLinear", [levels, scales, zeros], f"{output}_weight", axis=1)
        return self.node("Gemm", [x, weight, *([] if bias is None else [self.constant(f"{output}_bias", bias)])], output)

    def centred_gemm(self, output, layer):
        """A quantised layer on the features: each centred on its own interval, `unit` being where it lies in its clip interval."""
        middle, reach = array(layer.middle).astype(np.float64), array(layer.reach).astype(np.float64)
        self.node("Mul", ["unit", self.constant("centre_factor", self.scale / reach)], "centre_scaled")
        self.node("Add", ["centre_scaled", self.constant("centre_offset", (self.shift - middle) / reach)], "centre_open")
        self.node("Clip", ["centre_open", self.constant("minus_one", -1.0), "one"], "centred")
        weights = array(layer.weight).T.astype(np.float64)
        bias = array(layer.bias) + middle @ weights
        return self.gemm_int8(self.levels("centred", 1 / LEVELS), output, weights * reach[:, None], bias)

    def gates(self, layer):
        if isinstance(layer, QuantisedLstm):
            self.centred_gemm("gates_x", layer.input)
            self.gemm_int8(self.levels("h", 1 / LEVELS), "gates_h", array(layer.weight_hh).T.astype(np.float64))
            self.node("Add", ["gates_x", "gates_h"], "gates")
            return
        bias = (array(layer.bias_ih_l0) + array(layer.bias_hh_l0)).astype(np.float64)
        of_unit, bias = self.unit_affine(array(layer.weight_ih_l0).T, bias)
        self.node("Concat", ["unit", "h"], "gate_input", axis=1)
        weight = self.constant("gate_weight", np.concatenate([of_unit, array(layer.weight_hh_l0).T]))
        self.node("Gemm", ["gate_input", weight, self.constant("gate_bias", bias)], "gates")

    def lstm(self, layer):
        """One LSTM layer of torch over the features, with the states `h` and `c`."""
        self.gates(layer)
        node = self.node
        node("Split", ["gates"], ["gate_i", "gate_f", "gate_g", "gate_o"], axis=1)
        node("Sigmoid", ["gate_i"], "input_gate")
        node("Sigmoid", ["gate_f"], "forget_gate")
        node("Tanh", ["gate_g"], "candidate")
        node("Sigmoid", ["gate_o"], "output_gate")
        node("Mul", ["forget_gate", "c"], "kept")
        node("Mul", ["input_gate", "candidate"], "added")
        node("Add", ["kept", "added"], "c_next")
        node("Tanh", ["c_next"], "cell")
        node("Mul", ["output_gate", "cell"], "h_next")

    def finish(self, residual, linear, binned, head, calibration, states):
        """
        residual: name of [B, R]; linear: (weights [F, K], bias [K]) on normalised features; binned: weights [M, K]; head:
        (weights [R, K], bias [K]); calibration: (factor [K], offset [K]) on the logits; states: (name, shape) each.
        """
        linear_weight, linear_bias = self.unit_affine(*linear)
        logit_weight = np.concatenate([linear_weight, binned, head[0]]) * calibration[0]
        logit_bias = (linear_bias + head[1]) * calibration[0] + calibration[1]
        self.node("Concat", ["unit", "bin", residual], "logit_input", axis=1)
        weight, bias = self.constant("logit_weight", logit_weight), self.constant("logit_bias", logit_bias)
        self.node("Gemm", ["logit_input", weight, bias], "logits")
        self.node("Sigmoid", ["logits"], "probabilities")

        def value(name, shape):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", *shape])

        graph = helper.make_graph(
            self.nodes,
            "step",
            [value("features", [self.features]), *(value(name, shape) for name, shape in states)],
            [value("probabilities", [len(head[1])]), *(value(f"{name}_next", shape) for name, shape in states)],
            list(self.constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="keel")
        model.ir_version = 8
        onnx.checker.check_model(model, full_check=True)
        return model


def build(branch, network, calibration):
    """The graph of a trained network on its frozen branch."""
    step = Step(branch.normaliser, branch.bins)
    residual = network.body(step)
    head = array(network.head.weight).T, array(network.head.bias)
    return step.finish(residual, branch.linear, branch.binned, head, calibration, network.states())


def save(model, path):
    """Writes the file. @returns its SHA-256, hex."""
    data = model.SerializeToString(deterministic=True)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def steps(model, features):
    """
    Probabilities [N, K] of a sequence [N, F] from the initial state, by ONNX's reference evaluator, which has the quantising
    operators from opset 19 on, with the same meaning.
    """
    from onnx.reference import ReferenceEvaluator

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.opset_import[0].version = 19
    evaluator = ReferenceEvaluator(copy)
    states = {
        value.name: np.zeros((1, *(d.dim_value for d in value.type.tensor_type.shape.dim[1:])), dtype=np.float32)
        for value in model.graph.input
        if value.name != "features"
    }
    rows = []
    for row in features.astype(np.float32):
        probabilities, *following = evaluator.run(None, {"features": row[None], **states})
        states = dict(zip(states, following))
        rows.append(probabilities[0])
    return np.array(rows)
