"""
The ceiling: gradient boosting on the same features, rows, mirror images and row weights as the models.

    python models/train/ceiling.py --scratch FOLDER

It is no step model and does not ship (some hundred trees a head); it tells what the features hold. Per head, the number of
trees is chosen on validation rows, by the score that chooses a network's epoch. Writes the probabilities of the test capture
and of the validation rows to `ceiling.npz` in the scratch folder, where `evaluate.py` finds them.
"""

import argparse
from pathlib import Path

import numpy as np

from dataset import Dataset, exported, learning_parts
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
FILE = "ceiling.npz"


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


def ceiling(data, scratch, seed):
    """Trains, writes `ceiling.npz` and returns (test [N, K], validation: one [N, K] for each capture, trees [K])."""
    parts, validation, weights, test = learning_parts(data)
    features, labels, rows = data.both_ways(parts, weights)
    on_test, held, trees = [], [], []
    for head, name in enumerate(data.heads):
        model = boosted(features, labels[:, head], rows, seed)
        count = chosen_trees(model, validation, head)
        on_test.append(model.predict(test.features, num_iteration=count))
        held.append([model.predict(part.features, num_iteration=count) for part in validation])
        trees.append(count)
        scores = score(test.labels[:, head], on_test[-1])
        print(f"{name}: {count} trees, test AUC {scores['auc']:.4f}, AP {scores['averagePrecision']:.4f}", flush=True)
    validate = [np.stack([head[at] for head in held], axis=1) for at in range(len(validation))]
    result = np.stack(on_test, axis=1)
    named = {f"validate{at}": values for at, values in enumerate(validate)}
    np.savez(Path(scratch) / FILE, test=result, trees=np.array(trees), **named)
    return result, validate, trees


FOLDS = 3
FOLD_US = 20_000_000
"""Stretches of time that fall to the folds in turn."""
TAUGHT_FILE = "ceiling-train.npz"


def cross_fitted(data, scratch, heads, trees, seed):
    """
    Probabilities [N, heads] of each training part by trees that were not grown on it: of each row by those of the two other folds
    of time. A teacher must not have seen the labels of what it teaches.
    """
    path = Path(scratch) / TAUGHT_FILE
    if path.exists():
        held = np.load(path)
        if held["heads"].tolist() == list(heads):
            return [held[f"part{at}"] for at in range(len(held.files) - 1)]
    parts, _, weights, _ = learning_parts(data)
    features, labels, rows = data.both_ways(parts, weights)
    folds = np.concatenate([((part.times - part.times[0]) // FOLD_US).astype(int) % FOLDS for part in parts])
    both = np.concatenate([folds, folds])
    taught = np.empty((len(folds), len(heads)), dtype=np.float32)
    for at, head in enumerate(heads):
        for fold in range(FOLDS):
            model = boosted(features[both != fold], labels[both != fold, head], rows[both != fold], seed, trees[head])
            mine = folds == fold
            taught[mine, at] = model.predict(features[: len(folds)][mine])
        print(f"{data.heads[head]}: teacher", flush=True)
    ends = np.cumsum([len(part) for part in parts])
    split = np.split(taught, ends[:-1])
    np.savez(path, heads=np.array(heads), **{f"part{at}": values for at, values in enumerate(split)})
    return split


def load(scratch, captures):
    """What {ceiling} wrote, or None."""
    path = Path(scratch) / FILE
    if not path.exists():
        return None
    held = np.load(path)
    return held["test"], [held[f"validate{at}"] for at in range(captures)], held["trees"].tolist()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", help="folder of the captures; ../shared/data/binance when left out")
    arguments.add_argument("--scratch", required=True, help="folder for the matrices and the result")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--bun", default="bun")
    options = arguments.parse_args()
    exported(options.scratch, options.data, options.bun)
    ceiling(Dataset(options.scratch), options.scratch, options.seed)


if __name__ == "__main__":
    main()
