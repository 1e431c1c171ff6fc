"""Datasets of `keel dataset build`: read, held to their digests, and split as their manifest says. Needs numpy and pyarrow."""

import hashlib
import json
from pathlib import Path

import numpy as np

FORMAT = 1
MOVES = ["fall_50_bp", "fall_100_bp", "rise_50_bp", "rise_100_bp"]
BATCH_ROWS = 65_536
"""Rows of a file that are there at a time besides those that are kept."""


class DatasetError(ValueError):
    """A dataset that is not what it says it is."""


class KeelDataset:
    """
    A dataset's manifest and, on demand, its rows.

    `parts` are the manifest's, one per source. `rows(part, split)` gives time [N] in µs, instrument [N], features [N, F] as float32,
    labels [N, K] and moves [N, 4] in bp, in the order of time of each instrument.
    """

    def __init__(self, folder, verify=True):
        """`verify`: hold every file to its SHA-256 before anything is read."""
        self.folder = Path(folder)
        text = (self.folder / "manifest.json").read_text(encoding="utf-8")
        self.manifest = json.loads(text)
        if self.manifest.get("format") != FORMAT:
            raise DatasetError(f"{self.folder}: found format {self.manifest.get('format')}, expected {FORMAT}")
        self.digest = self.manifest["digest"]
        self.features = self.manifest["features"]
        self.heads = self.manifest["heads"]
        self.parts = self.manifest["parts"]
        if verify:
            self._verify()

    def _verify(self):
        name = f"keel-{self.digest[:16]}"
        if self.folder.resolve().name != name:
            raise DatasetError(f"{self.folder}: its digest says {name}")
        for part in self.parts:
            for file in [part["file"], *(outcome["file"] for outcome in part["outcomes"])]:
                found = _sha256(self.folder / file["name"])
                if found != file["sha256"]:
                    raise DatasetError(f"{self.folder / file['name']}: found SHA-256 {found}, expected {file['sha256']}")

    def split_ranges(self):
        """Name → (from, to) in µs, both ends within it."""
        return {one["name"]: (one["fromUs"], one["toUs"]) for one in self.manifest["splits"]["ranges"]}

    @property
    def piece_us(self):
        """Length of the pieces of time of which some were left out; None where none were."""
        thinning = self.manifest.get("thinning")
        return None if thinning is None else thinning["pieceUs"]

    def rows(self, part, split=None):
        """The rows of one part; of one split when named."""
        arrays = _Arrays(self, part["rows"])
        instruments = np.empty(part["rows"], dtype=object)
        at = 0
        for times, names, read in self._batches(part, split):
            instruments[at : at + len(times)] = names
            at = arrays.put(at, times, read)
        return {**arrays.first(at), "instrument": instruments[:at]}

    def by_instrument(self, part):
        """Name and rows of each instrument of a part, once in memory and no more than that."""
        counts = {}
        for _, names, _ in self._batches(part, None, ["time_us", "instrument"]):
            for name, count in zip(*np.unique(names, return_counts=True)):
                counts[name] = counts.get(name, 0) + int(count)
        held = {name: (_Arrays(self, count), 0) for name, count in counts.items()}
        for times, names, read in self._batches(part, None):
            for name in np.unique(names):
                chosen = names == name
                arrays, at = held[name]
                held[name] = (arrays, arrays.put(at, times[chosen], lambda columns, dtype: read(columns, dtype)[chosen]))
        for name in part["instruments"]:
            if name in held:
                arrays, at = held.pop(name)
                yield name, arrays.first(at)

    def _batches(self, part, split, columns=None):
        """Times, instruments and a reader of more columns, some rows at a time."""
        import pyarrow.parquet as parquet

        every = ["time_us", "instrument", *self.features, *_labels(self), *MOVES]
        start, end = (-np.inf, np.inf) if split is None else self.split_ranges()[split]
        with parquet.ParquetFile(self.folder / part["file"]["name"]) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=columns or every):
                times = batch.column("time_us").to_numpy()
                within = (times >= start) & (times <= end)
                names = np.array(batch.column("instrument").to_pylist(), dtype=object)

                def read(columns, dtype, batch=batch, within=within):
                    return np.stack([batch.column(name).to_numpy().astype(dtype) for name in columns], axis=1)[within]

                yield times[within], names[within], read

    def outcomes(self, part, table):
        """A journal's outcomes of one kind (`prediction`, `quote`, `fill`, `unfilled`) as an Arrow table; None where there are none."""
        import pyarrow.parquet as parquet

        for outcome in part["outcomes"]:
            if outcome["table"] == table:
                return parquet.read_table(self.folder / outcome["file"]["name"])
        return None


class _Arrays:
    """Room for so many rows of a dataset."""

    def __init__(self, dataset, rows):
        self.dataset = dataset
        self.times = np.empty(rows, dtype=np.float64)
        self.features = np.empty((rows, len(dataset.features)), dtype=np.float32)
        self.labels = np.empty((rows, len(dataset.heads)), dtype=np.float32)
        self.moves = np.empty((rows, len(MOVES)), dtype=np.float32)

    def put(self, at, times, read):
        """Puts rows at `at`; returns where the next ones go."""
        to = slice(at, at + len(times))
        self.times[to] = times
        self.features[to] = read(self.dataset.features, np.float32)
        self.labels[to] = read(_labels(self.dataset), np.float32)
        self.moves[to] = read(MOVES, np.float32)
        return to.stop

    def first(self, rows):
        return {
            "time_us": self.times[:rows],
            "features": self.features[:rows],
            "labels": self.labels[:rows],
            "moves": self.moves[:rows],
        }


def _labels(dataset):
    return [f"y_{head}" for head in dataset.heads]


def _sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
