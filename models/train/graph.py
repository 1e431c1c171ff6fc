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
"""

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Step:
    """Collects nodes and constants of a step, beginning with `unit` and `bin`."""

    def __init__(self, normaliser, bins):
        self.nodes = []
        self.constants = {}
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

    def gemm(self, x, output, weights, bias):
        """x·weights + bias; weights [inputs, outputs]."""
        return self.node("Gemm", [x, self.constant(f"{output}_weight", weights), self.constant(f"{output}_bias", bias)], output)

    def unit_gemm(self, output, weights, bias):
        return self.gemm("unit", output, *self.unit_affine(weights, bias))

    def lstm(self, layer):
        """One LSTM layer of torch over `unit`, with the states `h` and `c`."""

        def array(tensor):
            return tensor.detach().numpy()

        bias = (array(layer.bias_ih_l0) + array(layer.bias_hh_l0)).astype(np.float64)
        of_unit, bias = self.unit_affine(array(layer.weight_ih_l0).T, bias)
        gate_weight = np.concatenate([of_unit, array(layer.weight_hh_l0).T])
        node = self.node
        node("Concat", ["unit", "h"], "gate_input", axis=1)
        node("Gemm", ["gate_input", self.constant("gate_weight", gate_weight), self.constant("gate_bias", bias)], "gates")
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


def build(frozen, network, calibration):
    """The graph of a trained network on its frozen branch."""
    step = Step(frozen.normaliser, frozen.bins)
    residual = network.body(step)
    head = network.head.weight.detach().numpy().T, network.head.bias.detach().numpy()
    return step.finish(residual, frozen.linear, frozen.binned, head, calibration, network.states())


def save(model, path):
    """Writes the file. @returns its SHA-256, hex."""
    data = model.SerializeToString(deterministic=True)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def steps(model, features):
    """Probabilities [N, K] of a sequence [N, F] from the initial state, by ONNX's reference evaluator."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)
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
