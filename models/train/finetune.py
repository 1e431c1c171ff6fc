"""What training and training on have in common: the score that picks an epoch, calibration, and fine-tuning of a shipped model."""

import numpy as np

from linear import fit_logistic, sigmoid
from metrics import score
from network import run
from training import Setup, train

RATE = 1e-3
"""Of fine-tuning: a quarter of what training takes."""
LABEL_SHARE = 0.3
"""Of the target; the rest is the teacher's probability."""


def mirror_of(data):
    """Exchanges bid and ask in (normalised features, logits, labels)."""

    def mirror(features, logits, labels):
        mirrored, mirrored_labels = data.mirror(features, labels)
        return mirrored, logits[..., data.mirror_heads], mirrored_labels

    return mirror


def validation_score(data, branch, validation):
    """What the best epoch maximises: mean over captures and heads of AUC + AP/2 on validation rows."""
    held = [(branch.normaliser(part.features), part.labels, part.starts) for part in validation]
    held_linear = [branch.logits(normalised) for normalised, _, _ in held]

    def evaluate(network):
        total = 0.0
        for (normalised, labels, starts), logits in zip(held, held_linear):
            probabilities = sigmoid(logits + run(network, normalised, starts))
            scores = [score(labels[:, head], probabilities[:, head]) for head in range(len(data.heads))]
            total += np.mean([s["auc"] + 0.5 * s["averagePrecision"] for s in scores])
        return total / len(held)

    return evaluate


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


def taught(branch, parts, weights, teacher):
    """What {train} takes: the target is the label's share and, for the rest, what `teacher` says, [N, K] for each part."""
    captures = []
    for part, weight, told in zip(parts, weights, teacher):
        normalised = branch.normaliser(part.features)
        target = (LABEL_SHARE * part.labels + (1 - LABEL_SHARE) * told).astype(np.float32)
        captures.append((normalised, branch.logits(normalised), target, weight, part.starts))
    return captures


def fine_tune(material, branch, network, epochs, seed):
    """
    Trains a network on with its branch frozen, towards what it was trained to. Returns the validation score of each epoch.
    """
    captures = taught(branch, material.parts, material.weights, material.teacher)
    evaluate = validation_score(material.data, branch, material.validation)
    return train(network, captures, mirror_of(material.data), epochs, RATE, seed, evaluate, Setup())


def calibrated(data, branch, network, validation):
    """Factor and offset [K] of the network's logits, fitted on validation rows."""
    rows = [(branch.normaliser(part.features), part.starts) for part in validation]
    logits = np.concatenate([branch.logits(x) + run(network, x, starts) for x, starts in rows])
    return calibrate(data, logits, np.concatenate([part.labels for part in validation]))
