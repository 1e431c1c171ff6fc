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
