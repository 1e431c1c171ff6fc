"""
The step model as an ONNX graph, opset 17, written node by node so that it holds few kinds of operator:
Add, Clip, Concat, Equal, Gather, Gemm, Mul, Sigmoid, Split, Tanh, Where.

Inputs `features` [B, F] (raw, schema order), `h` and `c` [B, H]; outputs `probabilities` [B, K], `h_next`, `c_next` [B, H].
Everything is inside:

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


def build(normaliser, bins, linear, binned, lstm, head, calibration):
    """
    linear: (weights [F, K], bias [K]); binned: weights [M, K]; lstm: (weights [F + H, 4H], bias [4H]); head: (weights [H, K],
    bias [K]); all of them on normalised features, which are moved to the unit interval here. calibration: (factor [K],
    offset [K]) on the logits.
    """
    constants = []

    def constant(name, value, dtype=np.float32):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=dtype), name))
        return name

    nodes = []

    def node(op, inputs, output, **attributes):
        outputs = output if isinstance(output, list) else [output]
        nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], **attributes))
        return output

    # In double precision: normalised = unit·scale + shift, and what multiplies normalised features takes that in.
    low, high = normaliser.low.astype(np.float64), normaliser.high.astype(np.float64)
    scale = (high - low) * normaliser.factor
    shift = (low - normaliser.mean) * normaliser.factor

    def unit_affine(weights, bias):
        return scale[:, None] * weights, bias + shift @ weights

    zero, one = constant("zero", 0.0), constant("one", 1.0)
    node("Equal", ["features", "features"], "known")
    node("Where", ["known", "features", zero], "finite")
    node("Mul", ["finite", constant("unit_factor", 1 / (high - low))], "unit_scaled")
    node("Add", ["unit_scaled", constant("unit_offset", -low / (high - low))], "unit_open")
    node("Clip", ["unit_open", zero, one], "unit")

    node("Gather", ["unit", constant("bin_feature", bins.index, np.int64)], "bin_input", axis=1)
    node("Mul", ["bin_input", constant("bin_factor", bins.factor * scale[bins.index])], "bin_scaled")
    bin_offset = bins.offset + bins.factor * shift[bins.index]
    node("Add", ["bin_scaled", constant("bin_offset", bin_offset)], "bin_open")
    node("Clip", ["bin_open", zero, one], "bin")

    features = len(low)
    gate_weight, gate_bias = unit_affine(lstm[0][:features].astype(np.float64), lstm[1].astype(np.float64))
    gate_weight = np.concatenate([gate_weight, lstm[0][features:]])
    node("Concat", ["unit", "h"], "gate_input", axis=1)
    node("Gemm", ["gate_input", constant("gate_weight", gate_weight), constant("gate_bias", gate_bias)], "gates")
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

    linear_weight, linear_bias = unit_affine(linear[0].astype(np.float64), linear[1].astype(np.float64))
    logit_weight = np.concatenate([linear_weight, binned, head[0]]) * calibration[0]
    logit_bias = (linear_bias + head[1]) * calibration[0] + calibration[1]
    node("Concat", ["unit", "bin", "h_next"], "logit_input", axis=1)
    node("Gemm", ["logit_input", constant("logit_weight", logit_weight), constant("logit_bias", logit_bias)], "logits")
    node("Sigmoid", ["logits"], "probabilities")

    hidden, heads = len(head[0]), len(head[1])

    def value(name, size):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", size])

    graph = helper.make_graph(
        nodes,
        "step",
        [value("features", features), value("h", hidden), value("c", hidden)],
        [value("probabilities", heads), value("h_next", hidden), value("c_next", hidden)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="keel")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def save(model, path):
    """Writes the file. @returns its SHA-256, hex."""
    data = model.SerializeToString(deterministic=True)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def steps(model, features, hidden):
    """Probabilities [N, K] of a sequence [N, F] from the initial state, by ONNX's reference evaluator."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)
    h = np.zeros((1, hidden), dtype=np.float32)
    c = np.zeros((1, hidden), dtype=np.float32)
    rows = []
    for row in features.astype(np.float32):
        probabilities, h, c = evaluator.run(None, {"features": row[None], "h": h, "c": c})
        rows.append(probabilities[0])
    return np.array(rows)
