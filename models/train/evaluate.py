"""
Measures every shipped model once more, through the engine that ships, and writes what the tables are made of:

    python models/train/evaluate.py --scratch FOLDER

For each folder of `models/` with a card: the test capture and the validation rows through the `cpu` engine, the state carried over all
rows of a capture; scores beside those of queue imbalance, logistic regression and gradient boosting (`ceiling.py`, trained first where
the scratch folder has no result of it); 95 % intervals of the difference in AUC to logistic regression and to gradient boosting by
block bootstrap; the time of a step, models in turn, in rounds. Scores go into the cards, the rest into `models/evaluation.json`;
`bun models/train/tables.ts --write` then renders `models/README.md`. Ends with an error if a model misses the gate.

Scores in a card, each for `/test` and `/validate`: `queueImbalance`, `logisticRegression`, `gradientBoosting`; `fp32`, `int8` and
`prunedInt8`, in torch as trained, of the family's models that ship; `fp32Cpu`, `int8Cpu` and `prunedInt8Cpu`, the same through the
engine; `int8Ptq` and `int8Qat` (test only), through the engine too, what quantisation after training and by training on gave.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from ceiling import ceiling
from dataset import TEST, Dataset, exported, learning_parts
from linear import sigmoid
from metrics import gate, interval, resampled_auc, score
from train import fit_baselines
from variant import ROOT, add_arguments, rows_file, through

ROUNDS = 3


def family_of(name):
    return name.removesuffix("-int8").removesuffix("-pruned")


def form_of(name):
    return "prunedInt8" if name.endswith("-pruned-int8") else "int8" if name.endswith("-int8") else "fp32"


def heads_scored(part, probabilities):
    return [score(part.labels[:, k], probabilities[:, k]) for k in range(part.labels.shape[1])]


def mean_heads(captures):
    """Mean over captures of scores[capture][head]."""
    return [
        {metric: float(np.mean([heads[k][metric] for heads in captures])) for metric in captures[0][k]}
        for k in range(len(captures[0]))
    ]


def measured(folders, data, validation, options, temporary):
    """By model: probabilities of the test capture, scores on validation rows."""
    files = []
    for at, part in enumerate(validation):
        files.append(Path(temporary) / f"validate{at}.f32")
        part.features.astype("<f4").tofile(files[-1])
    ends = np.cumsum([len(part) for part in validation])[:-1]
    results = {}
    for folder in folders:
        held = np.split(through(folder, files, "cpu", len(data.heads), options.bun, temporary)[0], ends)
        validate = mean_heads([heads_scored(part, values) for part, values in zip(validation, held)])
        on_test = through(folder, [rows_file(options.scratch, TEST)], "cpu", len(data.heads), options.bun, temporary)[0]
        results[folder.name] = (on_test, validate)
        print(f"{folder.name}: through cpu", flush=True)
    return results


def timed(folders, data, options, temporary):
    """By model: p50 and p99 of a step in µs on the test capture, each the median of rounds in which the models take turns."""
    rounds = {folder.name: [] for folder in folders}
    for _ in range(ROUNDS):
        for folder in folders:
            printed = through(folder, [rows_file(options.scratch, TEST)], "cpu", len(data.heads), options.bun, temporary)[1]
            rounds[folder.name].append((printed["p50Us"], printed["p99Us"]))
    return {name: np.median(times, axis=0).tolist() for name, times in rounds.items()}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(arguments)
    arguments.add_argument("--host", required=True, help="what the times were taken on, for the table")
    options = arguments.parse_args()
    exported(options.scratch, options.data, options.bun)
    data = Dataset(options.scratch)
    learning = learning_parts(data)
    parts, validation, weights, test = learning
    boosted, boosted_held, trees = ceiling(data, learning, options.scratch, options.seed)
    normaliser, baseline, queue, column, _ = fit_baselines(data, parts, weights)

    def baselines(part):
        normalised = normaliser(part.features)
        return sigmoid(normalised[:, [column]] @ queue[0] + queue[1]), sigmoid(normalised @ baseline[0] + baseline[1])

    held = [baselines(part) for part in validation]
    on_test = baselines(test)
    probabilities = {"queueImbalance": on_test[0], "logisticRegression": on_test[1], "gradientBoosting": boosted}
    scores = {f"{name}/test": heads_scored(test, values) for name, values in probabilities.items()}
    of_captures = {
        "queueImbalance": [pair[0] for pair in held],
        "logisticRegression": [pair[1] for pair in held],
        "gradientBoosting": boosted_held,
    }
    for name, each in of_captures.items():
        scores[f"{name}/validate"] = mean_heads([heads_scored(part, values) for part, values in zip(validation, each)])

    areas = {name: resampled_auc(test.times, test.labels, values, options.seed) for name, values in probabilities.items()}
    folders = sorted(path.parent for path in (ROOT / "models").glob("*/card.json"))
    cards = {folder.name: json.loads((folder / "card.json").read_text()) for folder in folders}
    failures = []
    with tempfile.TemporaryDirectory(prefix="keel-evaluate-") as temporary:
        results = measured(folders, data, validation, options, temporary)
        times = timed(folders, data, options, temporary)

    evaluation = {"test": TEST, "rows": len(test), "host": options.host, "trees": dict(zip(data.heads, trees)), "models": {}}
    of_family = {}
    for folder in folders:
        name = folder.name
        form, family = form_of(name), family_of(name)
        own = of_family.setdefault(family, {})
        in_torch = (f"{form}/test", f"{form}/validate", f"{form}Ptq/test", f"{form}Qat/test")
        heads = [head["metrics"] for head in cards[name]["heads"]]
        own |= {key: [metrics[key] for metrics in heads] for key in in_torch if key in heads[0]}
        on_engine = heads_scored(test, results[name][0])
        own |= {f"{form}Cpu/test": on_engine, f"{form}Cpu/validate": results[name][1]}
        missed = gate(
            data,
            [{"own": mine, "logisticRegression": lr} for mine, lr in zip(on_engine, scores["logisticRegression/test"])],
            "own",
        )
        failures += [f"{name}: {each}" for each in missed]
        area = resampled_auc(test.times, test.labels, results[name][0], options.seed)
        against = {other: interval(area - areas[other]) for other in ("logisticRegression", "gradientBoosting")}
        evaluation["models"][name] = {
            "modelBytes": (folder / "model.onnx").stat().st_size,
            "stepP50Us": round(times[name][0], 3),
            "stepP99Us": round(times[name][1], 3),
            "difference": {
                other: {
                    title: [round(float(low[k]), 5), round(float(high[k]), 5)] for k, title in enumerate([*data.heads, "mean"])
                }
                for other, (low, high) in against.items()
            },
        }
    for folder in folders:
        card = cards[folder.name]
        for k, head in enumerate(card["heads"]):
            head["metrics"] = {key: heads[k] for key, heads in {**scores, **of_family[family_of(folder.name)]}.items()}
        (folder / "card.json").write_text(json.dumps(card) + "\n")
    (ROOT / "models" / "evaluation.json").write_text(json.dumps(evaluation, indent=1) + "\n")
    print("gate:", "; ".join(failures) or "passed by every model")
    if failures:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
