"""
INT8 of a trained step model by post-training quantisation:

    python models/train/quantise.py --data ../shared/data/binance

Reads `models/lstm-residual`, writes `models/lstm-residual-int8`. Only the gate layer, with nine tenths of the multiplications,
goes to 8 bits: int8 weights with a scale for each output, int8 activations with static scales and zero point 0 (the one form
that onnxruntime, TensorRT and the cpu engine all take), as QuantizeLinear and DequantizeLinear around two Gemms:

    centred   = clip(unit·f + o, −1, 1) → int8, 1/127     each feature's interval taken from training rows and their mirror images
    h         → int8, 1/127                               |h| < 1 by its definition
    gates     = centred·W_x + b + h·W_h

State, cell and logits stay in 32 bits. What it costs is measured on the test capture through the engines that ship, the state
carried over all rows; too much, and nothing is written.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

import graph
from dataset import Dataset
from metrics import score
from train import TEST, gate

REACH = 0.9995
"""Activations beyond this quantile of training rows, on either side, are clipped: outliers would cost all others resolution."""
LEVELS = 127
MEAN_LOSS_MAX = 0.0005
HEAD_LOSS_MAX = 0.002
SELF_TEST_TOLERANCE = 0.005
"""
An engine that adds in another order can put a value that lies between two levels on the other one; h is one level off then,
and that moves a probability (5e-4 at most over the test capture) until it has died away. A wrong scale or gate order moves
them by tenths.
"""


def unit_rows(model, data, parts):
    """What the gate layer sees of the features, in [0, 1], over training rows and their mirror images."""
    factor, offset = initializer(model, "unit_factor"), initializer(model, "unit_offset")
    rows = np.concatenate([part.features[::4] for part in parts])
    both = np.concatenate([rows, rows[:, data.mirror_index] * data.mirror_factor])
    return np.clip(np.nan_to_num(both) * factor + offset, 0, 1)


def initializer(model, name):
    return numpy_helper.to_array(next(tensor for tensor in model.graph.initializer if tensor.name == name))


def quantise(model, unit):
    """The model with its gate layer in INT8, the activations' intervals set from `unit` [N, F]."""
    low, high = np.quantile(unit, [1 - REACH, REACH], axis=0).astype(np.float64)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-6)
    weight = initializer(model, "gate_weight").astype(np.float64)
    features = unit.shape[1]
    bias = initializer(model, "gate_bias") + middle @ weight[:features]

    constants, nodes = [], []

    def constant(name, value, dtype=np.float32):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=dtype), name))
        return name

    def node(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def weights(name, matrix):
        """A matrix [inputs, outputs] as levels, with a scale for each output."""
        scale = np.maximum(np.abs(matrix).max(axis=0), 1e-12) / LEVELS
        levels = constant(f"{name}_levels", np.rint(matrix / scale), np.int8)
        zeros = constant(f"{name}_zeros", np.zeros(len(scale)), np.int8)
        return node("DequantizeLinear", [levels, constant(f"{name}_scales", scale), zeros], name, axis=1)

    step, zero = constant("level", 1 / LEVELS), constant("level_zero", 0, np.int8)

    def levels(name):
        node("QuantizeLinear", [name, step, zero], f"{name}_levels")
        return node("DequantizeLinear", [f"{name}_levels", step, zero], f"{name}_rounded")

    node("Mul", ["unit", constant("centre_factor", 1 / half)], "centre_scaled")
    node("Add", ["centre_scaled", constant("centre_offset", -middle / half)], "centre_open")
    node("Clip", ["centre_open", constant("minus_one", -1.0), "one"], "centred")
    of_features = weights("gate_weight_x", weight[:features] * half[:, None])
    of_state = weights("gate_weight_h", weight[features:])
    node("Gemm", [levels("centred"), of_features, constant("gate_bias", bias)], "gates_x")
    node("Gemm", [levels("h"), of_state], "gates_h")
    node("Add", ["gates_x", "gates_h"], "gates")

    quantised = onnx.ModelProto()
    quantised.CopyFrom(model)
    before = list(model.graph.node)
    at = next(i for i, each in enumerate(before) if each.name == "gates")
    kept = [each for each in before if each.name not in ("gate_input", "gates")]
    start = at - sum(each.name == "gate_input" for each in before[:at])
    del quantised.graph.node[:]
    quantised.graph.node.extend([*kept[:start], *nodes, *kept[start:]])
    tensors = [t for t in model.graph.initializer if t.name not in ("gate_weight", "gate_bias")]
    del quantised.graph.initializer[:]
    quantised.graph.initializer.extend([*tensors, *constants])
    onnx.checker.check_model(quantised, full_check=True)
    return quantised


def reference_steps(model, features):
    """By ONNX's evaluator, which has the two quantising operators from opset 19 on, with the same meaning."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.opset_import[0].version = 19
    return graph.steps(copy, features)


def main():
    root = Path(__file__).resolve().parents[2]
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", default=str(root.parent / "shared" / "data" / "binance"))
    arguments.add_argument("--model", default=str(root / "models" / "lstm-residual"))
    arguments.add_argument("--out", default=str(root / "models" / "lstm-residual-int8"))
    arguments.add_argument("--scratch", help="folder for the matrices; a temporary one when left out")
    arguments.add_argument("--bun", default="bun")
    options = arguments.parse_args()
    scripts = root / "models" / "train"
    source, out = Path(options.model), Path(options.out)

    with tempfile.TemporaryDirectory(prefix="keel-quantise-") as temporary:
        scratch = Path(options.scratch or temporary)
        if not (scratch / "manifest.json").exists():
            export = [options.bun, str(scripts / "export.ts"), "--data", options.data, "--out", str(scratch)]
            subprocess.run(export, cwd=root, check=True)
        data = Dataset(scratch)
        card = json.loads((source / "card.json").read_text())
        if data.manifest["schemaHash"] != card["schemaHash"]:
            raise ValueError(f"rows of schema {data.manifest['schemaHash']}, expected {card['schemaHash']}")
        model = onnx.load(source / "model.onnx")
        parts = [data.split(name)[0] for name in data.captures if name != TEST]
        quantised = quantise(model, unit_rows(model, data, parts))

        staged = Path(temporary) / out.name
        staged.mkdir()
        digest = graph.save(quantised, staged / "model.onnx")
        features = np.array(card["selfTest"]["features"], dtype=np.float32)
        card |= {
            "name": out.name,
            "description": card["description"] + " The gate layer in INT8 by post-training quantisation.",
            "onnxSha256": digest,
            "selfTest": {
                "features": card["selfTest"]["features"],
                "probabilities": reference_steps(quantised, features).astype(float).round(7).tolist(),
                "tolerance": SELF_TEST_TOLERANCE,
            },
        }
        (staged / "card.json").write_text(json.dumps(card) + "\n")

        test = data.captures[TEST]

        def through(folder, engine):
            """Probabilities [N, K] of the test capture by an engine that ships."""
            result = Path(temporary) / "probabilities.f32"
            rows = scratch / f"{TEST}.features.f32"
            run = [options.bun, str(scripts / "run-model.ts"), "--model", str(folder), "--rows", str(rows)]
            subprocess.run([*run, "--engine", engine, "--out", str(result), "--time"], cwd=root, check=True)
            return np.fromfile(result, dtype=np.float32).reshape(len(test), len(data.heads))

        runs = {
            "modelCpu/test": through(source, "cpu"),
            "modelInt8/test": through(staged, "cpu"),
            "modelInt8Wasm/test": through(staged, "wasm"),
        }
        for at, head in enumerate(card["heads"]):
            head["metrics"] |= {name: score(test.labels[:, at], p[:, at]) for name, p in runs.items()}
        report(card)
        apart = np.abs(runs["modelInt8/test"] - runs["modelCpu/test"]).max()
        engines = np.abs(runs["modelInt8/test"] - runs["modelInt8Wasm/test"]).max()
        print(f"largest change of a probability by quantisation {apart:.4f}, between engines {engines:.1e}")
        losses = [h["metrics"]["modelCpu/test"]["auc"] - h["metrics"]["modelInt8/test"]["auc"] for h in card["heads"]]
        failures = gate(
            data,
            [
                {
                    "model": head["metrics"]["modelInt8/test"],
                    "logisticRegression": head["metrics"]["logisticRegression/test"],
                }
                for head in card["heads"]
            ],
        )
        if np.mean(losses) > MEAN_LOSS_MAX:
            failures.append(f"mean AUC loss {np.mean(losses):.5f} > {MEAN_LOSS_MAX}")
        if max(losses) > HEAD_LOSS_MAX:
            failures.append(f"worst AUC loss {max(losses):.5f} > {HEAD_LOSS_MAX}")
        if failures:
            raise SystemExit("nothing written: " + "; ".join(failures))
        out.mkdir(parents=True, exist_ok=True)
        onnx_bytes = (staged / "model.onnx").read_bytes()
        (out / "model.onnx").write_bytes(onnx_bytes)
        (out / "card.json").write_text(json.dumps(card) + "\n")
        print(f"wrote {out / 'model.onnx'} ({len(onnx_bytes)} bytes) and card.json")


def report(card):
    print("\n| head | AUC: fp32 / INT8 | average precision: fp32 / INT8 | Brier: fp32 / INT8 | log loss: fp32 / INT8 |")
    print("|---|---|---|---|---|")
    names = ("modelCpu/test", "modelInt8/test")
    rows = [(head["name"], [head["metrics"][name] for name in names]) for head in card["heads"]]
    mean = [{k: float(np.mean([pair[i][k] for _, pair in rows])) for k in rows[0][1][i]} for i in (0, 1)]
    for name, pair in [*rows, ("**mean**", mean)]:
        cells = [
            " / ".join(f"{m[key]:.4f}" for m in pair) for key in ("auc", "averagePrecision", "brier", "logLoss")
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    print()


if __name__ == "__main__":
    main()
