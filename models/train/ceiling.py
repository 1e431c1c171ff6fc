"""
Gradient boosting on the same features, rows, mirror images and row weights as the models: the ceiling, and the teacher.

    python models/train/ceiling.py --scratch FOLDER

It is no step model and does not ship (some hundred trees a head); it tells what the features hold. Per head, the number of
trees is chosen on validation rows, by the score that chooses a network's epoch. What is computed is kept in the scratch folder, by a
digest of the rows and the settings it comes from.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np

from dataset import Dataset, exported, learning_parts
from metrics import score

TREES_MAX = 240
TREES_STEP = 20
LEARNER = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 400,
    "lambda_l2": 10.0,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "max_bin": 127,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
FOLDS = 3
FOLD_US = 20_000_000
"""Stretches of time that fall to the folds in turn."""


def boosted(features, labels, weights, seed, trees=TREES_MAX):
    import lightgbm

    rows = lightgbm.Dataset(features, labels, weight=weights, params={"max_bin": LEARNER["max_bin"]}, free_raw_data=True)
    return lightgbm.train({**LEARNER, "seed": seed}, rows, num_boost_round=trees)


def chosen_trees(model, validation, head):
    """How many trees do best on validation rows: mean over captures of AUC + AP/2."""
    best = (-np.inf, TREES_STEP)
    totals = {}
    for part in validation:
        for trees in range(TREES_STEP, TREES_MAX + 1, TREES_STEP):
            values = model.predict(part.features, num_iteration=trees)
            scores = score(part.labels[:, head], values)
            totals[trees] = totals.get(trees, 0.0) + scores["auc"] + 0.5 * scores["averagePrecision"]
    for trees, total in totals.items():
        best = max(best, (total, trees))
    return best[1]


def kept(data, parts, scratch, seed, what):
    """The file in the scratch folder that holds what these rows and settings give."""
    told = [data.manifest["schemaHash"], [[part.name, len(part)] for part in parts], LEARNER, TREES_MAX, FOLD_US, seed]
    return Path(scratch) / f"{what}-{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]}.npz"


def ceiling(data, learning, scratch, seed):
    """
    Trains on `learning`, (parts, validation, weights, test) as `learning_parts` gives them, unless that has been done. Returns
    probabilities of the test capture [N, K], of the validation rows (one [N, K] for each capture), and trees [K].
    """
    parts, validation, weights, test = learning
    path = kept(data, parts, scratch, seed, "ceiling")
    if not path.exists():
        features, labels, rows = data.both_ways(parts, weights)
        on_test, held, trees = [], [], []
        for head, name in enumerate(data.heads):
            model = boosted(features, labels[:, head], rows, seed)
            count = chosen_trees(model, validation, head)
            on_test.append(model.predict(test.features, num_iteration=count))
            held.append([model.predict(part.features, num_iteration=count) for part in validation])
            trees.append(count)
            print(f"  {name}: {count} trees", flush=True)
        validate = {f"validate{at}": np.stack([head[at] for head in held], axis=1) for at in range(len(validation))}
        np.savez(path, test=np.stack(on_test, axis=1), trees=np.array(trees), **validate)
    held = np.load(path)
    return held["test"], [held[f"validate{at}"] for at in range(len(validation))], held["trees"].tolist()


def cross_fitted(data, learning, scratch, seed):
    """
    Probabilities [N, K] of each training part by trees that were not grown on it: of each row by those of the two other folds
    of time. A teacher must not have seen the labels of what it teaches.
    """
    parts, _, weights, _ = learning
    path = kept(data, parts, scratch, seed, "teacher")
    if not path.exists():
        trees = ceiling(data, learning, scratch, seed)[2]
        features, labels, rows = data.both_ways(parts, weights)
        folds = np.concatenate([((part.times - part.times[0]) // FOLD_US).astype(int) % FOLDS for part in parts])
        both = np.concatenate([folds, folds])
        taught = np.empty((len(folds), len(trees)), dtype=np.float32)
        for head, count in enumerate(trees):
            for fold in range(FOLDS):
                others = both != fold
                model = boosted(features[others], labels[others, head], rows[others], seed, count)
                taught[folds == fold, head] = model.predict(features[: len(folds)][folds == fold])
            print(f"  {data.heads[head]}: teacher", flush=True)
        np.savez(path, taught=taught)
    return np.split(np.load(path)["taught"], np.cumsum([len(part) for part in parts])[:-1])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", help="folder of the captures; ../shared/data/binance when left out")
    arguments.add_argument("--scratch", required=True, help="folder for the matrices and the result")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--bun", default="bun")
    options = arguments.parse_args()
    exported(options.scratch, options.data, options.bun)
    data = Dataset(options.scratch)
    learning = learning_parts(data)
    test = learning[-1]
    values, _, trees = ceiling(data, learning, options.scratch, options.seed)
    print("| head | trees | AUC | average precision | Brier | log loss |\n|---|---|---|---|---|---|")
    for head, name in enumerate(data.heads):
        scores = score(test.labels[:, head], values[:, head])
        print(f"| {name} | {trees[head]} | {' | '.join(f'{each:.4f}' for each in scores.values())} |")


if __name__ == "__main__":
    main()
