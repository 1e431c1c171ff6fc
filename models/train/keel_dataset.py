"""Datasets of `keel dataset build`: read, held to their digests, and split as their manifest says. Needs numpy and pyarrow."""

import hashlib
import json
from pathlib import Path

import numpy as np

FORMAT = 1


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

    def rows(self, part, split=None):
        """The rows of one part; of one split when named."""
        import pyarrow.parquet as parquet

        labels = [f"y_{head}" for head in self.heads]
        moves = ["fall_50_bp", "fall_100_bp", "rise_50_bp", "rise_100_bp"]
        columns = ["time_us", "instrument", *self.features, *labels, *moves]
        filters = None
        if split is not None:
            start, end = self.split_ranges()[split]
            filters = [("time_us", ">=", start), ("time_us", "<=", end)]
        table = parquet.read_table(self.folder / part["file"]["name"], columns=columns, filters=filters)

        def matrix(names, dtype):
            return np.stack([table[name].to_numpy().astype(dtype) for name in names], axis=1)

        return {
            "time_us": table["time_us"].to_numpy(),
            "instrument": np.array(table["instrument"].to_pylist(), dtype=object),
            "features": matrix(self.features, np.float32),
            "labels": matrix(labels, np.float32),
            "moves": matrix(moves, np.float32),
        }

    def outcomes(self, part, table):
        """A journal's outcomes of one kind (`prediction`, `quote`, `fill`, `unfilled`) as an Arrow table; None where there are none."""
        import pyarrow.parquet as parquet

        for outcome in part["outcomes"]:
            if outcome["table"] == table:
                return parquet.read_table(self.folder / outcome["file"]["name"])
        return None


def _sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
