"""
One command from captures to a shipped model:

    python models/train/train.py --data ../shared/data/binance --seed 1

Exports features and labels with the desk's own code (bun), fits the baselines and the frozen linear branch, trains the
residual, calibrates, writes `model.onnx` and `card.json`, and prints the table of scores. With `--leave-out NAME`
(part of a capture's name) those captures are not trained on, are scored, and nothing is written.
"""

import argparse
import hashlib
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import graph
from dataset import Dataset
from families import LstmAttention, Tcn, Transformer
from linear import Bins, Normaliser, fit_logistic
from metrics import gain_interval, score
from network import Residual, run, train

TEST = "spot-btcusdt-20240809"
"""Never trained on; choices are made on validation rows and on captures left out."""
BASELINE_PENALTY = 3e-3
BINNED_PENALTY = 1e-3
BINS_PER_FEATURE = 6
BINNED_HEADS = ["bidWithdraw50", "askWithdraw50"]
BINNED_FEATURES = [
    "Age", "diff", "Share", "DepthChange", "DepthOver", "DepthUnder", "Cancelled", "NetAdded", "Withdraw",
    "depthImbalance", "eventCount", "eventSurge",
]  # fmt: skip
"""Parts of the names of the features that get bins: timing and what stands in the book."""
HIDDEN = 64
TEACHERS = 5
TEACHER_EPOCHS = 8
STUDENT_EPOCHS = 12
RATE = 4e-3
RESIDUAL_SHARE = 0.75
RESIDUAL_SHARE_SPIKE = 0.5
"""What of the residual enters the logits: less than all of it keeps nearly all the gain and varies less between seeds and days."""
ROW_WEIGHT_BASE = 40_000
"""A row of a capture with N training rows weighs √(base/N), so that busy captures do not drown quiet ones."""
SELF_TEST_ROWS = 24
MODELS = {
    "lstm-residual": (
        lambda features, heads: Residual(features, HIDDEN, heads),
        f"an LSTM residual of {HIDDEN} units",
    ),
    "lstm-attn": (
        LstmAttention,
        f"an LSTM residual of {LstmAttention.HIDDEN} units with attention over its last {LstmAttention.REACH} states",
    ),
    "tcn": (Tcn, f"a causal convolution residual of {len(Tcn.DILATIONS)} layers of {Tcn.WIDTH} channels over 64 events"),
    "transformer": (
        Transformer,
        f"a residual of one causal transformer block of width {Transformer.WIDTH} over {Transformer.REACH} events",
    ),
}
"""Families of residuals: how to make the network, and what the card says of it."""
MOVE_COLUMN = {"down50": 0, "down100": 1, "up50": 2, "up100": 3}


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


@dataclass
class Frozen:
    """Everything but the recurrent part: normalisation, baseline regression, bins and the frozen branch."""

    normaliser: Normaliser
    bins: Bins
    baseline: tuple
    queue: tuple
    linear: tuple
    binned: np.ndarray
    queue_column: int

    def logits(self, normalised):
        return (normalised @ self.linear[0] + self.linear[1] + self.bins(normalised) @ self.binned).astype(np.float32)

    def baseline_logits(self, normalised):
        return normalised @ self.baseline[0] + self.baseline[1]

    def queue_logits(self, normalised):
        return normalised[:, [self.queue_column]] @ self.queue[0] + self.queue[1]


def fit_frozen(data, parts, weights):
    features = np.concatenate([part.features for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    mirrored, mirrored_labels = data.mirror(features, labels)
    features = np.concatenate([features, mirrored])
    labels = np.concatenate([labels, mirrored_labels])
    rows = np.concatenate([np.full(len(part), weight) for part, weight in zip(parts, weights)])
    rows = np.concatenate([rows, rows])

    names = data.manifest["features"]
    normaliser = Normaliser(data.clip, features)
    normalised = normaliser(features)
    baseline = fit_logistic(normalised, labels, rows, BASELINE_PENALTY)
    queue_column = names.index("queueImbalance")
    queue = fit_logistic(normalised[:, [queue_column]], labels, rows, 0.0)

    binned_features = [i for i, name in enumerate(names) if any(part in name for part in BINNED_FEATURES)]
    bins = Bins(normalised, BINS_PER_FEATURE, binned_features)
    heads = [data.heads.index(name) for name in BINNED_HEADS]
    encoded = np.concatenate([normalised, bins(normalised)], axis=1)
    weight, bias = fit_logistic(encoded, labels[:, heads], rows, BINNED_PENALTY)
    linear = (baseline[0].copy(), baseline[1].copy())
    linear[0][:, heads], linear[1][heads] = weight[: len(names)], bias
    binned = np.zeros((len(bins.index), len(data.heads)), dtype=np.float32)
    binned[:, heads] = weight[len(names) :]
    return Frozen(normaliser, bins, baseline, queue, linear, binned, queue_column)


def fit_residual(data, frozen, parts, weights, validation, seed, make, teacher_count):
    """
    Teachers of different seeds, then one student that learns the mean of their probabilities and the labels; without teachers,
    one network that learns the labels. `make(feature_count, head_count)` makes a network.
    """
    prepared = [(frozen.normaliser(part.features), part.labels) for part in parts]
    linear = [frozen.logits(normalised) for normalised, _ in prepared]
    held = [(frozen.normaliser(part.features), part.labels) for part in validation]
    held_linear = [frozen.logits(normalised) for normalised, _ in held]

    def mirror(features, logits, labels):
        mirrored, mirrored_labels = data.mirror(features, labels)
        return mirrored, logits[..., data.mirror_heads], mirrored_labels

    def evaluate(network):
        total = 0.0
        for (normalised, labels), logits in zip(held, held_linear):
            probabilities = sigmoid(logits + run(network, normalised))
            scores = [score(labels[:, head], probabilities[:, head]) for head in range(len(data.heads))]
            total += np.mean([s["auc"] + 0.5 * s["averagePrecision"] for s in scores])
        return total / len(held)

    def fit(targets, epochs, network_seed):
        torch.manual_seed(network_seed)
        network = make(data.feature_count, len(data.heads))
        captures = [
            (normalised, logits, target, weight)
            for (normalised, _), logits, target, weight in zip(prepared, linear, targets, weights)
        ]
        scores = train(network, captures, mirror, epochs, RATE, network_seed, evaluate)
        print(f"  seed {network_seed}: validation by epoch {' '.join(f'{s:.4f}' for s in scores)}", flush=True)
        return network

    hard = [labels for _, labels in prepared]
    teachers = [fit(hard, TEACHER_EPOCHS, seed * 100 + at) for at in range(teacher_count)]
    soft = []
    for (normalised, labels), logits in zip(prepared, linear):
        probabilities = [sigmoid(logits + run(teacher, normalised)) for teacher in teachers]
        mean = np.mean(probabilities, axis=0) if teachers else labels
        soft.append((0.5 * mean + 0.5 * labels).astype(np.float32))
    student = fit(soft, STUDENT_EPOCHS if teachers else TEACHER_EPOCHS, seed)
    share = [RESIDUAL_SHARE_SPIKE if name == "volatilitySpike" else RESIDUAL_SHARE for name in data.heads]
    with torch.no_grad():
        student.head.weight.mul_(torch.tensor(share)[:, None])
        student.head.bias.mul_(torch.tensor(share))
    return student


def calibrate(data, logits, labels):
    """Platt's scaling per head on validation rows and their mirror image: a·logit + b."""
    logits = np.concatenate([logits, logits[:, data.mirror_heads]])
    labels = np.concatenate([labels, labels[:, data.mirror_heads]])
    factor, offset = [], []
    for head in range(logits.shape[1]):
        x = logits[:, [head]].astype(np.float32)
        weight, bias = fit_logistic(x, labels[:, [head]], np.ones(len(x), dtype=np.float32), 0.0)
        if not weight[0, 0] > 0:
            raise ValueError(f"calibration of {data.heads[head]} has slope {weight[0, 0]}, expected > 0")
        factor.append(weight[0, 0])
        offset.append(bias[0])
    return np.array(factor, dtype=np.float32), np.array(offset, dtype=np.float32)


def predict(frozen, network, calibration, part):
    """Probabilities [N, K] of the model and its baselines on one capture's rows."""
    normalised = frozen.normaliser(part.features)
    logits = frozen.logits(normalised) + run(network, normalised)
    return {
        "model": sigmoid(logits * calibration[0] + calibration[1]),
        "logisticRegression": sigmoid(frozen.baseline_logits(normalised)),
        "queueImbalance": sigmoid(frozen.queue_logits(normalised)),
    }


def score_all(data, predictions, part):
    """Scores per head of the model and its baselines."""
    return [
        {name: score(part.labels[:, head], values[:, head]) for name, values in predictions.items()}
        for head in range(len(data.heads))
    ]


def mean_scores(scores):
    """Mean over captures of scores[capture][head][model][metric]."""
    return [
        {
            model: {metric: float(np.mean([s[head][model][metric] for s in scores])) for metric in scores[0][head][model]}
            for model in scores[0][head]
        }
        for head in range(len(scores[0]))
    ]


def table(data, scores, title):
    print(f"\n{title}\n")
    print("| head | AUC: queue / LR / model | average precision: queue / LR / model | Brier LR / model | log loss LR / model |")
    print("|---|---|---|---|---|")
    models = ("queueImbalance", "logisticRegression", "model")
    for name, head in [*zip(data.heads, scores), ("**mean**", None)]:
        def cell(metric, among):
            values = [
                head[m][metric] if head else float(np.mean([s[m][metric] for s in scores])) for m in among
            ]  # fmt: skip
            return " / ".join(f"{value:.4f}" for value in values)
        print(
            f"| {name} | {cell('auc', models)} | {cell('averagePrecision', models)} | {cell('brier', models[1:])} | {cell('logLoss', models[1:])} |"
        )


def gate(data, scores):
    """The gate of a shipped model against logistic regression; names what fails."""
    failures = []
    gains = []
    for name, head in zip(data.heads, scores):
        lr, model = head["logisticRegression"], head["model"]
        gains.append(model["auc"] - lr["auc"])
        for metric in ("auc", "averagePrecision"):
            if model[metric] < lr[metric]:
                failures.append(f"{name} {metric} {model[metric]:.4f} < {lr[metric]:.4f}")
    if np.mean(gains) < 0.004:
        failures.append(f"mean AUC gain {np.mean(gains):.4f} < 0.004")
    return failures


def self_test_rows(normaliser, seed):
    """Synthetic rows around the training distribution, then all zero, then far outside the clip on both sides."""
    rng = np.random.default_rng(seed)
    deviation = np.where(normaliser.factor > 0, 1 / np.where(normaliser.factor > 0, normaliser.factor, 1), 0)
    rows = normaliser.mean + deviation * rng.standard_normal((SELF_TEST_ROWS, len(deviation)))
    extremes = np.stack([np.zeros(len(deviation)), np.full(len(deviation), 1e6), np.full(len(deviation), -1e6)])
    return np.concatenate([rows, extremes]).round(4).astype(np.float32)


def main():
    root = Path(__file__).resolve().parents[2]
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", default=str(root.parent / "shared" / "data" / "binance"))
    arguments.add_argument("--family", choices=MODELS, default="lstm-residual")
    arguments.add_argument("--teachers", type=int, default=TEACHERS)
    arguments.add_argument("--out", help="folder of the model; models/FAMILY when left out")
    arguments.add_argument("--scratch", help="folder for the matrices; a temporary one when left out")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--bun", default="bun")
    arguments.add_argument("--leave-out", help="do not train on captures whose name holds this; write nothing")
    options = arguments.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with tempfile.TemporaryDirectory(prefix="keel-train-") as temporary:
        scratch = options.scratch or temporary
        export = [options.bun, str(root / "models" / "train" / "export.ts"), "--data", options.data, "--out", scratch]
        subprocess.run(export, cwd=root, check=True)
        data = Dataset(scratch)

    names = [name for name in data.captures if name != TEST]
    left = [name for name in names if options.leave_out and options.leave_out in name]
    names = [name for name in names if name not in left]
    splits = [data.split(name) for name in names]
    parts, validation = [split[0] for split in splits], [split[1] for split in splits]
    weights = [np.sqrt(ROW_WEIGHT_BASE / len(part)) for part in parts]

    print("linear branch", flush=True)
    frozen = fit_frozen(data, parts, weights)
    print(f"residual: {options.family}", flush=True)
    make = MODELS[options.family][0]
    network = fit_residual(data, frozen, parts, weights, validation, options.seed, make, options.teachers)
    normalised = [frozen.normaliser(part.features) for part in validation]
    logits = np.concatenate([frozen.logits(rows) + run(network, rows) for rows in normalised])
    calibration = calibrate(data, logits, np.concatenate([part.labels for part in validation]))

    def scores_of(part, title):
        predictions = predict(frozen, network, calibration, part)
        scores = score_all(data, predictions, part)
        table(data, scores, title)
        low, high = gain_interval(
            part.times, part.labels, predictions["model"], predictions["logisticRegression"], options.seed
        )
        intervals = [f"{name} {a:+.4f}…{b:+.4f}" for name, a, b in zip([*data.heads, "mean"], low, high)]
        print("gain in AUC over LR, 95 % by blocks of 5 s:", ", ".join(intervals))
        print("gate:", "; ".join(gate(data, scores)) or "passed", flush=True)
        return scores

    validation_scores = mean_scores(
        [score_all(data, predict(frozen, network, calibration, part), part) for part in validation]
    )
    table(data, validation_scores, f"Validation: last quarter of {len(names)} captures, mean over captures")
    for name in left:
        scores_of(data.captures[name], f"{name}, left out of training")
    test_scores = scores_of(data.captures[TEST], f"Test: {TEST}")
    if not left:
        write_model(data, frozen, network, calibration, parts, validation, validation_scores, test_scores, options)


def write_model(data, frozen, network, calibration, parts, validation, validation_scores, test_scores, options):
    out = Path(options.out or Path(__file__).resolve().parents[1] / options.family)
    out.mkdir(parents=True, exist_ok=True)
    model = graph.build(frozen, network, calibration)
    digest = graph.save(model, out / "model.onnx")

    probe = parts[0].features[:200]
    normalised = frozen.normaliser(probe)
    expected = sigmoid((frozen.logits(normalised) + run(network, normalised)) * calibration[0] + calibration[1])
    worst = float(np.abs(graph.steps(model, probe) - expected).max())
    if worst > 1e-4:
        raise ValueError(f"the ONNX graph differs from the trained network by {worst}, expected at most 1e-4")
    print(f"\nONNX graph against the trained network over 200 steps: largest difference {worst:.1e}")

    labels = data.manifest["labels"]
    heads = []
    for at, name in enumerate(data.heads):
        column = MOVE_COLUMN.get(name)
        positive = [(part.moves[:, column], part.labels[:, at] > 0) for part in parts] if column is not None else []
        metrics = {f"{model}/test": value for model, value in test_scores[at].items()}
        metrics |= {f"{model}/validate": value for model, value in validation_scores[at].items()}
        heads.append(
            {
                "name": name,
                "horizonMs": labels["shortHorizonMs"] if name.endswith("50") else labels["longHorizonMs"],
                "thetaBp": labels["thetaBp"] if column is not None else None,
                "depthFraction": labels["depthFraction"] if "Withdraw" in name else None,
                "meanMoveBp": float(np.concatenate([m[p] for m, p in positive]).mean()) if positive else None,
                "baseRate": float(np.concatenate([part.labels[:, at] for part in parts]).mean()),
                "metrics": metrics,
            }
        )
    captures = [c for c in data.manifest["captures"] if c["name"] != TEST]
    training_digests = "".join(c["sha256"] for c in captures)
    features = self_test_rows(frozen.normaliser, options.seed)
    chosen = [] if options.family == "lstm-residual" else [f"--family {options.family}"]
    if options.teachers != TEACHERS:
        chosen.append(f"--teachers {options.teachers}")
    card = {
        "name": out.name,
        "version": "1.0.0",
        "description": "Frozen mirrored logistic regression (piecewise-linear bins for the withdrawal heads) plus "
        f"{MODELS[options.family][1]}, one step per event. A spike is a range of the mid within 100 ms of at least "
        f"{labels['spikeMultiple']} times its 10 s mean and {labels['spikeFloorBp']} bp; withdrawal is measured at the end of the horizon.",
        "schemaHash": data.manifest["schemaHash"],
        "onnxSha256": digest,
        "featureCount": data.feature_count,
        "states": [{"name": name, "shape": shape} for name, shape in network.states()],
        "heads": heads,
        "training": {
            "command": " ".join(["python models/train/train.py", *chosen, f"--seed {options.seed}"]),
            "seed": options.seed,
            "dataDigest": hashlib.sha256(training_digests.encode()).hexdigest(),
            "captures": [
                {"name": c["name"], "sha256": c["sha256"], "use": use}
                for c in data.manifest["captures"]
                for use in (["test"] if c["name"] == TEST else ["train", "validate"])
            ],
            "rows": {
                "train": sum(len(part) for part in parts),
                "validate": sum(len(part) for part in validation),
                "test": len(data.captures[TEST]),
            },
        },
        "selfTest": {
            "features": features.astype(float).round(4).tolist(),
            "probabilities": graph.steps(model, features).astype(float).round(7).tolist(),
            "tolerance": 1e-3,
        },
    }
    (out / "card.json").write_text(json.dumps(card) + "\n")
    print(f"wrote {out / 'model.onnx'} ({(out / 'model.onnx').stat().st_size} bytes) and card.json")


if __name__ == "__main__":
    main()
