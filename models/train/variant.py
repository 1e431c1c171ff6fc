"""A model made from a shipped one, quantised or pruned: written as a folder, run through the engines that ship, held to the gate."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import graph
from ceiling import cross_fitted
from dataset import Dataset, exported, learning_data, learning_parts
from families import told
from linear import Normaliser, sigmoid
from metrics import score
from network import run
from restore import restore

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "models" / "train"
MEAN_LOSS_MAX = 0.0005
HEAD_LOSS_MAX = 0.002
"""What INT8 may cost in AUC against its own f32 model."""
INT8_TOLERANCE = 0.005
"""
An engine that adds in another order can put a value that lies between two levels on the other one; a state is one level off then,
and that moves a probability (5e-4 at most over the test capture) until it has died away. A wrong scale or gate order moves
them by tenths.
"""
F32_TOLERANCE = 1e-3


@dataclass
class Material:
    """What every script that changes a shipped model needs."""

    data: Dataset
    parts: list
    validation: list
    weights: list
    test: object
    normaliser: Normaliser
    teacher: list

    @classmethod
    def load(cls, options):
        Path(options.scratch).mkdir(parents=True, exist_ok=True)
        if options.dataset is None:
            exported(options.scratch, options.data, options.bun)
        data = learning_data(options)
        learning = learning_parts(data)
        parts, validation, weights, test = learning
        normaliser = Normaliser(data.clip, data.both_ways(parts, weights)[0])
        return cls(data, parts, validation, weights, test, normaliser, cross_fitted(data, learning, options.scratch, options.seed))

    def restore(self, folder):
        restored = restore(folder, self.normaliser)
        if self.data.manifest["schemaHash"] != restored.card["schemaHash"]:
            raise ValueError(f"rows of schema {self.data.manifest['schemaHash']}, expected {restored.card['schemaHash']}")
        return restored

    def features_seen(self):
        """Normalised training rows and their mirror images, one array for each capture and way."""
        normalised = [self.normaliser(part.features) for part in self.parts]
        return [*normalised, *(rows[:, self.data.mirror_index] * self.data.mirror_factor for rows in normalised)]

    def scores(self, branch, network, calibration):
        """Per head, in torch: scores on the test capture and, mean over captures, on validation rows."""
        held = [self._heads(branch, network, calibration, part) for part in self.validation]
        test = self._heads(branch, network, calibration, self.test)
        mean = [
            {metric: float(np.mean([heads[k][metric] for heads in held])) for metric in test[k]}
            for k in range(len(self.data.heads))
        ]
        return test, mean

    def _heads(self, branch, network, calibration, part):
        normalised = branch.normaliser(part.features)
        logits = branch.logits(normalised) + run(network, normalised, part.starts)
        probabilities = sigmoid(logits * calibration[0] + calibration[1])
        return [score(part.labels[:, k], probabilities[:, k]) for k in range(probabilities.shape[1])]


def through(folder, rows, engine, heads, bun, scratch):
    """
    Probabilities [N, heads] of exported rows by an engine that ships, and what `--time` prints. `rows`: files of one capture each.
    """
    result = Path(scratch) / "probabilities.f32"
    files = [argument for file in rows for argument in ("--rows", str(file))]
    command = [bun, str(SCRIPTS / "run-model.ts"), "--model", str(folder), *files]
    printed = subprocess.run(
        [*command, "--engine", engine, "--out", str(result), "--time"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return np.fromfile(result, dtype=np.float32).reshape(-1, heads), json.loads(printed)


def rows_file(scratch, name):
    return Path(scratch) / f"{name}.features.f32"


def stage(folder, restored, network, calibration, remarks, tolerance, prefix, scores, name=None):
    """
    Writes model.onnx and card.json; `scores` of {Material.scores} stand in the card under `prefix`. It is called `name`, as its
    folder when left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = graph.build(restored.branch, network, calibration)
    digest = graph.save(model, folder / "model.onnx")
    card = restored.card
    features = np.array(card["selfTest"]["features"], dtype=np.float32)
    test, validate = scores
    before = told(restored.family, restored.network.sizes)
    if before not in card["description"]:
        raise ValueError(f"a card that says {card['description']!r}, expected {before!r} in it")
    own = {f"{prefix}/test", f"{prefix}/validate"}
    heads = [
        head
        | {
            "metrics": {key: value for key, value in head["metrics"].items() if key not in own}
            | {f"{prefix}/test": test[k], f"{prefix}/validate": validate[k]}
        }
        for k, head in enumerate(card["heads"])
    ]
    made = card | {
        "name": name or folder.name,
        "description": card["description"].replace(before, told(restored.family, network.sizes)) + remarks,
        "onnxSha256": digest,
        "states": [{"name": name, "shape": shape} for name, shape in network.states()],
        "heads": heads,
        "selfTest": {
            "features": card["selfTest"]["features"],
            "probabilities": graph.steps(model, features).astype(float).round(7).tolist(),
            "tolerance": tolerance,
        },
    }
    (folder / "card.json").write_text(json.dumps(made) + "\n")
    return made


def add_arguments(arguments):
    arguments.add_argument("--data", help="folder of the captures; ../shared/data/binance when left out")
    arguments.add_argument("--dataset", help="folder of `keel dataset build` that the model was trained on, in place of --data")
    arguments.add_argument("--rows", type=int, help="with --dataset: as many rows of each capture as it was trained on")
    arguments.add_argument("--scratch", required=True, help="folder for the matrices, kept from run to run")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--bun", default="bun")
