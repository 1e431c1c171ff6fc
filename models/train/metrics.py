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
GAIN_MIN = 0.004
"""Mean gain in AUC over logistic regression that a shipped model must have."""


def resampled_auc(times, labels, probabilities, seed):
    """
    AUC [resamples, K] under the bootstrap over blocks of five seconds, since rows next to each other tell of the same move. The
    same times and seed draw the same blocks, so that two models are compared on the same resamples. times [N] in µs.
    """
    rng = np.random.default_rng(seed)
    block = ((times - times[0]) // BLOCK_US).astype(int)
    blocks = block[-1] + 1
    counts = np.stack([np.bincount(rng.integers(0, blocks, blocks), minlength=blocks) for _ in range(RESAMPLES)])
    areas = np.empty((RESAMPLES, labels.shape[1]))
    for head in range(labels.shape[1]):
        order = np.argsort(probabilities[:, head], kind="stable")
        value, of_block = probabilities[order, head], block[order]
        positive = labels[order, head] > 0
        # Rows of one value count half against each other.
        starts = np.flatnonzero(np.append(True, np.diff(value) > 0))
        for at, count in enumerate(counts):
            weight = count[of_block].astype(np.float64)
            positives = np.add.reduceat(weight * positive, starts)
            negatives = np.add.reduceat(weight * ~positive, starts)
            below = np.cumsum(negatives) - negatives / 2
            areas[at, head] = (positives * below).sum() / (positives.sum() * negatives.sum())
    return areas


def gain_interval(times, labels, model, baseline, seed):
    """
    The 95 % interval of the gain in AUC, model over baseline, per head and, last, of their mean. labels, model, baseline
    [N, K]; times [N] in µs.
    """
    return interval(resampled_auc(times, labels, model, seed) - resampled_auc(times, labels, baseline, seed))


def interval(gains):
    """Low and high ends, per head and, last, of the mean over heads, of gains [resamples, K]."""
    return np.quantile(np.column_stack([gains, gains.mean(axis=1)]), [0.025, 0.975], axis=0)


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
    models = ("queueImbalance", "logisticRegression", "fp32")
    for name, head in [*zip(data.heads, scores), ("**mean**", None)]:
        def cell(metric, among):
            values = [
                head[m][metric] if head else float(np.mean([s[m][metric] for s in scores])) for m in among
            ]  # fmt: skip
            return " / ".join(f"{value:.4f}" for value in values)
        print(
            f"| {name} | {cell('auc', models)} | {cell('averagePrecision', models)} | {cell('brier', models[1:])} | {cell('logLoss', models[1:])} |"
        )


def gate(data, scores, name="fp32"):
    """The gate of a shipped model against logistic regression; names what fails."""
    failures = []
    gains = []
    for title, head in zip(data.heads, scores):
        lr, model = head["logisticRegression"], head[name]
        gains.append(model["auc"] - lr["auc"])
        for metric in ("auc", "averagePrecision"):
            if model[metric] < lr[metric]:
                failures.append(f"{title} {metric} {model[metric]:.4f} < {lr[metric]:.4f}")
    if np.mean(gains) < GAIN_MIN:
        failures.append(f"mean AUC gain {np.mean(gains):.4f} < {GAIN_MIN}")
    return failures
