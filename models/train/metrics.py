"""Scores of one head: area under the ROC curve, average precision, Brier score, log loss."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score


def score(labels, probabilities):
    p = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    y = labels.astype(np.float64)
    return {
        "auc": float(roc_auc_score(y, p)),
        "averagePrecision": float(average_precision_score(y, p)),
        "brier": float(np.mean((p - y) ** 2)),
        "logLoss": float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))),
    }


BLOCK_US = 5_000_000
RESAMPLES = 200


def gain_interval(times, labels, model, baseline, seed):
    """
    The 95 % interval of the gain in AUC, model over baseline, per head and, last, of their mean: bootstrap over blocks of five
    seconds, since rows next to each other tell of the same move. labels, model, baseline [N, K]; times [N] in µs.
    """
    rng = np.random.default_rng(seed)
    block = ((times - times[0]) // BLOCK_US).astype(int)
    starts = np.searchsorted(block, np.arange(block[-1] + 2))
    gains = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, block[-1] + 1, block[-1] + 1)
        rows = np.concatenate([np.arange(starts[b], starts[b + 1]) for b in chosen])
        heads = [
            roc_auc_score(labels[rows, k], model[rows, k]) - roc_auc_score(labels[rows, k], baseline[rows, k])
            for k in range(labels.shape[1])
        ]
        gains.append(heads)
    gains = np.array(gains)
    low, high = np.quantile(np.column_stack([gains, gains.mean(axis=1)]), [0.025, 0.975], axis=0)
    return low, high
