"""Exported matrices, split in time: per capture the first part trains, a gap is left out, the rest validates."""

import hashlib
import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from keel_dataset import DatasetError, KeelDataset

TRAIN_FRACTION = 0.75
PURGE_US = 1_000_000
"""No validation row starts within this time after the last training row, so no label looks across the cut."""

TEST = "spot-btcusdt-20240809"
"""Never trained on; choices are made on validation rows and on captures left out."""
ROWS_MIN = 256
"""Of a recording within a split of a dataset; fewer are left out."""
ROW_WEIGHT_BASE = 40_000
"""A row of a capture with N training rows weighs √(base/N), so that busy captures do not drown quiet ones."""


@dataclass
class Rows:
    """
    Rows of one capture in time order: features [N, F], labels [N, K], moves [N, 4] in bp, times [N] in µs. `piece_us` where pieces of
    that length were left out between them.
    """

    name: str
    features: np.ndarray
    labels: np.ndarray
    moves: np.ndarray
    times: np.ndarray
    piece_us: int | None = None

    def part(self, rows):
        return Rows(self.name, self.features[rows], self.labels[rows], self.moves[rows], self.times[rows], self.piece_us)

    @property
    def starts(self):
        """Rows before which something was left out, ascending, the first among them: a model begins anew there."""
        if self.piece_us is None:
            return [0]
        pieces = np.floor(self.times / self.piece_us)
        return [0, *(np.flatnonzero(np.diff(pieces) > 1) + 1).tolist()]

    def __len__(self):
        return len(self.times)


class Dataset:
    test = TEST
    """Name of the capture that is scored and never trained on."""

    def __init__(self, folder, rows_max=None):
        """`rows_max`: only so many rows from the start of each capture."""
        folder = Path(folder)
        self._take(json.loads((folder / "manifest.json").read_text()))
        self.captures = {c["name"]: self._load(folder, c).part(slice(rows_max)) for c in self.manifest["captures"]}

    def _take(self, manifest):
        self.manifest = manifest
        self.feature_count = len(self.manifest["features"])
        self.heads = self.manifest["heads"]
        self.clip = np.array(self.manifest["clip"], dtype=np.float32)
        self.mirror_index = np.array(self.manifest["mirrorIndex"])
        self.mirror_factor = np.array(self.manifest["mirrorFactor"], dtype=np.float32)
        # down ↔ up, bid ↔ ask, the spike stays.
        self.mirror_heads = np.array([2, 3, 0, 1, 5, 4, 6])

    def digest(self):
        """Of what is trained on: all captures' digests in their order."""
        trained = "".join(c["sha256"] for c in self.manifest["captures"] if c["name"] != self.test)
        return hashlib.sha256(trained.encode()).hexdigest()

    def _load(self, folder, capture):
        name, rows = capture["name"], capture["rows"]

        def read(suffix, dtype, columns):
            values = np.fromfile(folder / f"{name}.{suffix}", dtype=dtype)
            return values.reshape(rows, columns) if columns > 1 else values

        return Rows(
            name,
            read("features.f32", np.float32, self.feature_count),
            read("labels.u8", np.uint8, len(self.heads)).astype(np.float32),
            read("moves.f32", np.float32, 4),
            read("times.f64", np.float64, 1),
        )

    def split(self, name):
        """The capture's training and validation rows."""
        rows = self.captures[name]
        start, end = rows.times[0], rows.times[-1]
        cut = start + TRAIN_FRACTION * (end - start)
        return rows.part(rows.times <= cut), rows.part(rows.times > cut + PURGE_US)

    def learning_parts(self, left_out=()):
        """Training and validation rows of every capture but `left_out`. @throws ValueError where an outcome never comes in some"""
        splits = [self.split(name) for name in self.captures if name != self.test and name not in left_out]
        for training, validation in splits:
            _expect_both_outcomes(self, training, "training")
            _expect_both_outcomes(self, validation, "validation")
        return [split[0] for split in splits], [split[1] for split in splits]

    def uses(self, name):
        """What a capture is used for, as a card says it."""
        return ["test"] if name == self.test else ["train", "validate"]

    def mirror(self, features, labels):
        """The same rows with bid and ask exchanged."""
        return features[..., self.mirror_index] * self.mirror_factor, labels[..., self.mirror_heads]

    def both_ways(self, parts, weights):
        """Rows of all parts and, after them, their mirror images: features [N, F], labels [N, K], row weights [N]."""
        features = np.concatenate([part.features for part in parts])
        labels = np.concatenate([part.labels for part in parts])
        mirrored, mirrored_labels = self.mirror(features, labels)
        rows = np.concatenate([np.full(len(part), weight) for part, weight in zip(parts, weights)])
        return np.concatenate([features, mirrored]), np.concatenate([labels, mirrored_labels]), np.concatenate([rows, rows])


class BuiltDataset(Dataset):
    """
    A dataset of `keel dataset build` with splits `train`, `validation` and `test`. Each instrument of each part is a capture; the test
    rows are those of the instrument with the most of them.
    """

    test = "test"

    def __init__(self, folder, rows_max=None):
        built = KeelDataset(folder)
        self._ranges = built.split_ranges()
        missing = {"train", "validation", "test"} - set(self._ranges)
        if missing:
            raise DatasetError(f"{folder}: no split {', '.join(sorted(missing))}")
        self.captures = {}
        captures = []
        for part in built.parts:
            for instrument, rows in built.by_instrument(part):
                name = f"{part['source']}/{instrument}"
                one = Rows(name, *(rows[key] for key in ("features", "labels", "moves", "time_us")), built.piece_us)
                if rows_max is not None:
                    one = first_of_each(one, self._ranges, rows_max)
                self.captures[name] = one
                captures.append({"name": name, "sha256": part["file"]["sha256"], "rows": len(one)})
        tests = [self._within(rows, "test") for rows in self.captures.values()]
        test = max(tests, key=len)
        self.captures[self.test] = replace(test, name=self.test)
        captures.append({"name": self.test, "sha256": built.digest, "rows": len(test)})
        self._digest = built.digest
        self._take({**built.manifest, "captures": captures})

    def digest(self):
        """The dataset's own, by which it is found again."""
        return self._digest

    def split(self, name):
        rows = self.captures[name]
        return self._within(rows, "train"), self._within(rows, "validation")

    def uses(self, name):
        if name == self.test:
            return ["test"]
        return [use for use, rows in zip(("train", "validate"), self.split(name)) if len(rows) > 0]

    def _within(self, rows, split):
        return _within(rows, self._ranges[split])

    def learning_parts(self, left_out=()):
        """
        As of captures. A recording need not reach into every split, and an outcome may be rare in one of them: what cannot be trained on or
        scored there is left out, and said.
        """
        parts, validation = [], []
        for name in self.captures:
            if name == self.test or name in left_out:
                continue
            for use, rows, kept in zip(("training", "validation"), self.split(name), (parts, validation)):
                if len(rows) == 0:
                    continue
                missing = _missing_outcome(self, rows, use)
                if missing is None and len(rows) >= ROWS_MIN:
                    kept.append(rows)
                else:
                    print(f"{missing or f'{name}: {len(rows)} {use} rows'}: left out", flush=True)
        for use, kept in (("training", parts), ("validation", validation)):
            if not kept:
                raise DatasetError(f"no {use} rows in which every outcome comes: record for longer, or give more recordings")
        return parts, validation


def _within(rows, span):
    """Of rows in the order of time a view, and no copy."""
    if (rows.times[1:] < rows.times[:-1]).any():
        return rows.part((rows.times >= span[0]) & (rows.times <= span[1]))
    return rows.part(slice(np.searchsorted(rows.times, span[0], "left"), np.searchsorted(rows.times, span[1], "right")))


def first_of_each(rows, ranges, rows_max):
    """The first `rows_max` rows within each split, in the order of time."""
    chosen = [np.flatnonzero((rows.times >= start) & (rows.times <= end))[:rows_max] for start, end in ranges.values()]
    return rows.part(np.sort(np.concatenate(chosen)))


def exported(folder, data, bun):
    """Runs the captures through the desk's own decoder, features and labels into `folder`, unless that has been done."""
    root = Path(__file__).resolve().parents[2]
    if (Path(folder) / "manifest.json").exists():
        return
    source = data or str(root.parent / "shared" / "data" / "binance")
    script = str(root / "models" / "train" / "export.ts")
    subprocess.run([bun, script, "--data", source, "--out", str(folder)], cwd=root, check=True)


def learning_data(options):
    """The dataset that `--dataset` names, or the captures' export in the scratch folder."""
    rows_max = getattr(options, "rows", None)
    return Dataset(options.scratch, rows_max) if options.dataset is None else BuiltDataset(options.dataset, rows_max)


def learning_parts(data, left_out=()):
    """Training and validation rows of every capture that is trained on, the weights of their rows, and the test capture."""
    parts, validation = data.learning_parts(left_out)
    _expect_both_outcomes(data, data.captures[data.test], "test")
    weights = [np.sqrt(ROW_WEIGHT_BASE / len(part)) for part in parts]
    return parts, validation, weights, data.captures[data.test]


def _missing_outcome(data, part, use):
    """What cannot be scored or calibrated, because one of the outcomes never comes; None when all do."""
    for head, name in enumerate(data.heads):
        positive = int((part.labels[:, head] > 0).sum())
        if not 0 < positive < len(part):
            return f"{part.name}: {positive} of its {len(part)} {use} rows have {name}"
    return None


def _expect_both_outcomes(data, part, use):
    missing = _missing_outcome(data, part, use)
    if missing is not None:
        raise ValueError(f"{missing}, expected some with and some without: record for longer, or leave it out")
