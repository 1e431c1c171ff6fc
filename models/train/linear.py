"""Logistic regressions: the baselines and the frozen branch of the model."""

from dataclasses import dataclass

import numpy as np
import torch


CLIP_DEVIATIONS = 12
COLUMNS_AT_ONCE = 8
"""Of the features whose mean and deviation are taken: sums in 64 bits are of twice the size."""
ROWS_WHOLE = 600_000
ROWS_AT_ONCE = 1 << 18
"""Of a logistic regression whose inputs are encoded: more rows than the one are encoded in pieces of the other, again at every look at them."""
LOGIT_ROWS = 1 << 18
"""Rows whose bins are there at a time."""


class Normaliser:
    """
    Clips to the schema's interval and to twelve deviations around the mean, whichever is tighter, then (x − mean)/deviation. A
    feature that never moves gets the factor 0: it has no say, whatever it does later.
    """

    def __init__(self, clip, features):
        mean, deviation = np.empty(len(clip)), np.empty(len(clip))
        for start in range(0, len(clip), COLUMNS_AT_ONCE):
            some = slice(start, start + COLUMNS_AT_ONCE)
            clipped = np.clip(features[:, some], clip[some, 0], clip[some, 1])
            mean[some] = clipped.mean(axis=0, dtype=np.float64)
            deviation[some] = clipped.std(axis=0, dtype=np.float64)
        constant = deviation < 1e-6
        reach = np.where(constant, np.inf, CLIP_DEVIATIONS * deviation)
        self.low = np.maximum(clip[:, 0], mean - reach).astype(np.float32)
        self.high = np.minimum(clip[:, 1], mean + reach).astype(np.float32)
        self.mean = mean.astype(np.float32)
        self.factor = np.where(constant, 0, 1 / np.where(constant, 1, deviation)).astype(np.float32)

    def __call__(self, features):
        normalised = np.clip(features, self.low, self.high)
        normalised -= self.mean
        normalised *= self.factor
        return normalised


class Bins:
    """
    Piecewise-linear encoding: column j of feature i is clip((x − e_j)/(e_{j+1} − e_j), 0, 1) with edges at the quantiles of
    the (mirrored) training rows. Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features", 2022, section 3.2.
    """

    def __init__(self, normalised, count, features):
        index, start, factor = [], [], []
        quantiles = np.linspace(0, 1, count + 1)[:-1]
        sample = normalised[:: max(1, len(normalised) // 200_000)]
        for feature in features:
            column = sample[:, feature]
            edges = np.quantile(column, np.append(quantiles, 1.0))
            edges = edges[np.append(True, np.diff(edges) > 1e-3)]
            if len(edges) < 3:
                continue
            for low, high in zip(edges[:-1], edges[1:]):
                index.append(feature)
                start.append(low)
                factor.append(1 / (high - low))
        self.index = np.array(index, dtype=np.int64)
        self.factor = np.array(factor, dtype=np.float32)
        self.offset = (-np.array(start) * self.factor).astype(np.float32)

    @classmethod
    def of(cls, index, factor, offset):
        """Bins that are known already: column j is clip(x[index_j]·factor_j + offset_j, 0, 1)."""
        made = cls.__new__(cls)
        made.index = index
        made.factor, made.offset = factor.astype(np.float32), offset.astype(np.float32)
        return made

    def __call__(self, normalised):
        encoded = normalised[:, self.index]
        encoded *= self.factor
        encoded += self.offset
        return np.clip(encoded, 0, 1, out=encoded)

    def beside(self, normalised):
        """The rows with their bins after them."""
        return np.concatenate([normalised, self(normalised)], axis=1)


@dataclass
class Branch:
    """What the residual is added to: normalisation, linear part (weights [F, K], bias [K]) and weights of the bins [M, K]."""

    normaliser: Normaliser
    bins: Bins
    linear: tuple
    binned: np.ndarray

    def logits(self, normalised):
        some = (normalised[start : start + LOGIT_ROWS] for start in range(0, max(1, len(normalised)), LOGIT_ROWS))
        logits = [x @ self.linear[0] + self.linear[1] + self.bins(x) @ self.binned for x in some]
        return np.concatenate(logits).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def fit_logistic(inputs, labels, row_weights, penalty, iterations=60, encode=None, rows_whole=ROWS_WHOLE):
    """
    Weighted L2-penalised logistic regression, one column of weights per head, by L-BFGS.

    inputs [N, D] float32, labels [N, K], row_weights [N]. `encode`, where given, makes of some of the rows what is regressed on. Returns
    weights [D, K] and bias [K].
    """
    size = len(inputs) if len(inputs) <= rows_whole else min(rows_whole, ROWS_AT_ONCE)
    pieces = [slice(start, start + size) for start in range(0, len(inputs), size)]

    def encoded(piece):
        x = inputs[piece] if encode is None else encode(inputs[piece])
        return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))

    whole = encoded(slice(None)) if encode is None or len(pieces) == 1 else None
    y = torch.from_numpy(labels)
    row = torch.from_numpy(row_weights.astype(np.float32) / row_weights.sum())[:, None]
    width = encoded(slice(0, 1)).shape[1]
    weights = torch.zeros(width, y.shape[1], requires_grad=True)
    rate = (y * row).sum(0).clamp(1e-4, 1 - 1e-4)
    bias = torch.log(rate / (1 - rate)).clone().requires_grad_(True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=iterations, history_size=20, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        total = 0.0
        for at, piece in enumerate(pieces):
            x = encoded(piece) if whole is None else whole[piece]
            logits = x @ weights + bias
            losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, y[piece], reduction="none")
            loss = (losses * row[piece]).sum()
            if at == 0:
                loss = loss + penalty * weights.square().sum()
            loss.backward()
            total = total + loss.detach()
        return total

    optimiser.step(closure)
    return weights.detach().numpy(), bias.detach().numpy()
