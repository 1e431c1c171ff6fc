"""
One command from captures to a shipped model:

    python models/train/train.py --data ../shared/data/binance --seed 1

Exports features and labels with the desk's own code (bun), fits the baselines and the frozen linear branch, trains the
residual, calibrates, writes `model.onnx` and `card.json`, and prints the table of scores. With `--leave-out NAME`
(part of a capture's name) those captures are not trained on, are scored, and nothing is written.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import graph
from ceiling import cross_fitted
from dataset import BuiltDataset, Dataset, exported, learning_parts
from families import FAMILIES, told
from finetune import calibrated, mirror_of, taught, validation_score
from linear import Bins, Branch, Normaliser, fit_logistic, sigmoid
from metrics import gain_interval, gate, mean_scores, score_all, table
from network import run
from parallel import workers
from training import PRECISIONS, Setup, train

BASELINE_PENALTY = 3e-3
BINNED_PENALTY = 1e-3
BINS_PER_FEATURE = 6
BINNED_HEADS = ["bidWithdraw50", "askWithdraw50"]
BINNED_FEATURES = [
    "Age", "diff", "Share", "DepthChange", "DepthOver", "DepthUnder", "Cancelled", "NetAdded", "Withdraw",
    "depthImbalance", "eventCount", "eventSurge",
]  # fmt: skip
"""Parts of the names of the features that get bins: timing and what stands in the book."""
EPOCHS = 24
RATE = 4e-3
SELF_TEST_ROWS = 24
VERSION = "1.1.0"
MOVE_COLUMN = {"down50": 0, "down100": 1, "up50": 2, "up100": 3}


@dataclass
class Frozen:
    """Everything but the residual: the branch that it is added to, and the two baselines."""

    branch: Branch
    baseline: tuple
    queue: tuple
    queue_column: int

    def baselines(self, features):
        """Probabilities [N, K] of logistic regression and of queue imbalance alone."""
        normalised = self.branch.normaliser(features)
        column = normalised[:, [self.queue_column]]
        return {
            "logisticRegression": sigmoid(normalised @ self.baseline[0] + self.baseline[1]),
            "queueImbalance": sigmoid(column @ self.queue[0] + self.queue[1]),
        }


def fit_baselines(data, parts, weights):
    """Normaliser, logistic regression and queue imbalance alone; with the rows that a further fit takes."""
    features, labels, rows = data.both_ways(parts, weights)
    normaliser = Normaliser(data.clip, features)
    normalised = normaliser(features)
    del features
    baseline = fit_logistic(normalised, labels, rows, BASELINE_PENALTY)
    queue_column = data.manifest["features"].index("queueImbalance")
    queue = fit_logistic(normalised[:, [queue_column]], labels, rows, 0.0)
    return normaliser, baseline, queue, queue_column, (normalised, labels, rows)


def fit_frozen(data, parts, weights):
    normaliser, baseline, queue, queue_column, (normalised, labels, rows) = fit_baselines(data, parts, weights)
    names = data.manifest["features"]
    binned_features = [i for i, name in enumerate(names) if any(part in name for part in BINNED_FEATURES)]
    bins = Bins(normalised, BINS_PER_FEATURE, binned_features)
    heads = [data.heads.index(name) for name in BINNED_HEADS]
    weight, bias = fit_logistic(normalised, labels[:, heads], rows, BINNED_PENALTY, encode=bins.beside)
    linear = (baseline[0].copy(), baseline[1].copy())
    linear[0][:, heads], linear[1][heads] = weight[: len(names)], bias
    binned = np.zeros((len(bins.index), len(data.heads)), dtype=np.float32)
    binned[:, heads] = weight[len(names) :]
    return Frozen(Branch(normaliser, bins, linear, binned), baseline, queue, queue_column)


def fit_residual(data, branch, learning, teacher, seed, make, setup, epochs=EPOCHS):
    """
    The residual learns the labels and what `teacher` says of the training rows: one array [N, K] of probabilities for each part.
    `make(feature_count, head_count)` makes a network.
    """
    parts, validation, weights, _ = learning
    captures = taught(branch, parts, weights, teacher)
    torch.manual_seed(seed)
    network = make(data.feature_count, len(data.heads))
    evaluate = validation_score(data, branch, validation)
    scores = train(network, captures, mirror_of(data), epochs, RATE, seed, evaluate, setup)
    if setup.workers.first:
        print(f"  validation by epoch {' '.join(f'{each:.4f}' for each in scores)}", flush=True)
    return network


def predict(frozen, network, calibration, part):
    """Probabilities [N, K] of the model and its baselines on one capture's rows."""
    normalised = frozen.branch.normaliser(part.features)
    logits = frozen.branch.logits(normalised) + run(network, normalised, part.starts)
    return {"fp32": sigmoid(logits * calibration[0] + calibration[1]), **frozen.baselines(part.features)}


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
    arguments.add_argument("--dataset", help="folder of `keel dataset build`, in place of --data; needs --out")
    arguments.add_argument("--family", choices=FAMILIES, default="lstm-residual")
    arguments.add_argument("--spike-share", type=float, default=1.0, help="what of the spike head's residual enters its logit")
    arguments.add_argument("--out", help="folder of the model; models/FAMILY when left out")
    arguments.add_argument("--scratch", help="folder for the matrices; a temporary one when left out")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--bun", default="bun")
    arguments.add_argument("--leave-out", help="do not train on captures whose name holds this; write nothing")
    arguments.add_argument("--amp", choices=PRECISIONS, help="mixed precision; bf16 on a CPU, both on a GPU")
    arguments.add_argument("--accumulate", type=int, default=1, help="parts that an update's streams go through in")
    arguments.add_argument("--device", default="cpu", help="where the residual is trained: cpu or cuda")
    arguments.add_argument("--epochs", type=int, default=EPOCHS, help="of the residual")
    arguments.add_argument("--rows", type=int, help="only so many rows of each capture, to try the command; needs --out")
    options = arguments.parse_args()
    if options.rows is not None and options.out is None:
        arguments.error("--rows needs --out: a model of a part of the rows does not replace one that ships")

    if options.dataset is not None and options.out is None:
        arguments.error("--dataset needs --out: it does not replace a model that ships")

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with workers(options.device) as group:
        setup = Setup(options.amp, options.accumulate, options.device, group)
        with tempfile.TemporaryDirectory(prefix="keel-train-") as temporary:
            # All processes of one host read the folder that the first one wrote.
            scratch = group.from_first(lambda: prepared_folder(options, temporary))
            data = Dataset(scratch, options.rows) if options.dataset is None else BuiltDataset(options.dataset, options.rows)
            learn(data, options, setup, scratch)


def prepared_folder(options, temporary):
    scratch = options.scratch or temporary
    Path(scratch).mkdir(parents=True, exist_ok=True)
    if options.dataset is not None:
        return scratch
    exported(scratch, options.data, options.bun)
    return scratch


def learn(data, options, setup, scratch):
    left = [name for name in data.captures if name != data.test and options.leave_out and options.leave_out in name]
    learning = learning_parts(data, left)
    parts, validation, weights, test = learning
    group = setup.workers
    if group.first:
        print("linear branch", flush=True)
    frozen = group.from_first(lambda: fit_frozen(data, parts, weights))
    if group.first:
        print("teacher: gradient boosting", flush=True)
    teacher = group.from_first(lambda: cross_fitted(data, learning, scratch, options.seed))
    if group.first:
        print(f"residual: {options.family}", flush=True)
    network = fit_residual(data, frozen.branch, learning, teacher, options.seed, FAMILIES[options.family], setup, options.epochs)
    if not group.first:
        return
    with torch.no_grad():
        spike = data.heads.index("volatilitySpike")
        network.head.weight[spike] *= options.spike_share
        network.head.bias[spike] *= options.spike_share
    calibration = calibrated(data, frozen.branch, network, validation)

    def scores_of(part, title):
        predictions = predict(frozen, network, calibration, part)
        scores = score_all(data, predictions, part)
        table(data, scores, title)
        low, high = gain_interval(
            part.times, part.labels, predictions["fp32"], predictions["logisticRegression"], options.seed
        )
        intervals = [f"{name} {a:+.4f}…{b:+.4f}" for name, a, b in zip([*data.heads, "mean"], low, high)]
        print("gain in AUC over LR, 95 % by blocks of 5 s:", ", ".join(intervals))
        print("gate:", "; ".join(gate(data, scores)) or "passed", flush=True)
        return scores

    validation_scores = mean_scores(
        [score_all(data, predict(frozen, network, calibration, part), part) for part in validation]
    )
    table(data, validation_scores, f"Validation: last quarter of {len(parts)} captures, mean over captures")
    for name in left:
        scores_of(data.captures[name], f"{name}, left out of training")
    test_scores = scores_of(test, f"Test: {data.test}")
    if not left:
        command = training_command(options, group.count)
        write_model(data, frozen, network, calibration, parts, validation, validation_scores, test_scores, options, command)


def training_command(options, processes):
    """The command that makes this model again, for its card."""
    start = "python" if processes == 1 else f"torchrun --standalone --nproc-per-node {processes}"
    chosen = [] if options.family == "lstm-residual" else [f"--family {options.family}"]
    if options.dataset is not None:
        chosen.append(f"--dataset {Path(options.dataset).resolve().name}")
    if options.spike_share != 1:
        chosen.append(f"--spike-share {options.spike_share}")
    if options.epochs != EPOCHS:
        chosen.append(f"--epochs {options.epochs}")
    if options.rows is not None:
        chosen.append(f"--rows {options.rows}")
    if options.amp:
        chosen.append(f"--amp {options.amp}")
    return " ".join([start, "models/train/train.py", *chosen, f"--seed {options.seed}"])


def write_model(data, frozen, network, calibration, parts, validation, validation_scores, test_scores, options, command):
    out = Path(options.out or Path(__file__).resolve().parents[1] / options.family)
    out.mkdir(parents=True, exist_ok=True)
    model = graph.build(frozen.branch, network, calibration)
    digest = graph.save(model, out / "model.onnx")

    probe = parts[0].features[:200]
    normalised = frozen.branch.normaliser(probe)
    expected = sigmoid((frozen.branch.logits(normalised) + run(network, normalised)) * calibration[0] + calibration[1])
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
    features = self_test_rows(frozen.branch.normaliser, options.seed)
    card = {
        # A folder of a run is called by its step, and not by what is in it.
        "name": out.name if options.dataset is None else options.family,
        "version": VERSION if options.dataset is None else f"{VERSION}-{data.digest()[:12]}",
        "description": "Frozen mirrored logistic regression (piecewise-linear bins for the withdrawal heads) plus "
        f"{told(options.family, network.sizes)}, one step per event. A spike is a range of the mid within 100 ms of at least "
        f"{labels['spikeMultiple']} times its 10 s mean and {labels['spikeFloorBp']} bp; withdrawal is measured at the end of the horizon.",
        "schemaHash": data.manifest["schemaHash"],
        "onnxSha256": digest,
        "featureCount": data.feature_count,
        "states": [{"name": name, "shape": shape} for name, shape in network.states()],
        "heads": heads,
        "training": {
            "command": command,
            "seed": options.seed,
            "dataDigest": data.digest(),
            "captures": [
                {"name": c["name"], "sha256": c["sha256"], "use": use}
                for c in data.manifest["captures"]
                for use in data.uses(c["name"])
            ],
            "rows": {
                "train": sum(len(part) for part in parts),
                "validate": sum(len(part) for part in validation),
                "test": len(data.captures[data.test]),
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
