"""
INT8 of a trained step model, after training and by training on:

    python models/train/quantise.py --model models/lstm-residual --scratch FOLDER
    python models/train/quantise.py --model MODEL --out FOLDER --dataset FOLDER --scratch FOLDER

Writes `MODEL-int8`. Which layers go to 8 bits and how: `quantised.py`. First post-training quantisation (PTQ): scales from
training rows, nothing trained. Then quantisation-aware fine-tuning (QAT): the same network trained on, rounding in the forward
pass, towards what the f32 model was trained to. Both are measured on the test capture through the engines that
ship, the state carried over all rows, and held to the gate: the mean AUC may fall by 0.0005, a head's by 0.002, and no head below
logistic regression. Of those that keep it, the one with the better score on validation rows is written; without one, nothing.
The card tells the scores of both.
"""

import argparse
import copy
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch

from dataset import TEST
from finetune import calibrated, fine_tune, validation_score
from metrics import gate, score
from quantised import quantise
from variant import HEAD_LOSS_MAX, INT8_TOLERANCE, MEAN_LOSS_MAX, Material, add_arguments, rows_file, stage, through

EPOCHS = 4
REMARKS = {"PTQ": " In INT8 by post-training quantisation.", "QAT": " In INT8 by quantisation-aware fine-tuning."}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", required=True, help="folder of the f32 model")
    arguments.add_argument("--out", help="folder of the quantised one; MODEL-int8 when left out")
    arguments.add_argument("--epochs", type=int, default=EPOCHS, help="of quantisation-aware fine-tuning; 0 for none")
    add_arguments(arguments)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    source = Path(options.model)
    out = Path(options.out or f"{options.model}-int8")
    prefix = "prunedInt8" if "pruned" in out.name else "int8"

    material = Material.load(options)
    restored = material.restore(source)
    branch = restored.branch
    evaluate = validation_score(material.data, branch, material.validation)
    identity = (np.ones(len(material.data.heads), dtype=np.float32), np.zeros(len(material.data.heads), dtype=np.float32))

    after = quantise(restored.network, material.features_seen())
    candidates = {"PTQ": (after, identity, evaluate(after))}
    if options.epochs > 0:
        aware = copy.deepcopy(after)
        scores = fine_tune(material, branch, aware, options.epochs, options.seed)
        print(f"QAT, validation by epoch: {' '.join(f'{each:.4f}' for each in scores)}", flush=True)
        candidates["QAT"] = (aware, calibrated(material.data, branch, aware, material.validation), max(scores))
    print(f"validation: f32 {evaluate(restored.network):.4f}", *(f"{name} {c[2]:.4f}" for name, c in candidates.items()))

    if options.dataset is not None:
        write_validated(material, restored, candidates, out)
        return
    with tempfile.TemporaryDirectory(prefix="keel-quantise-") as temporary:
        rows = [rows_file(options.scratch, TEST)]

        def answers(folder, engine):
            return through(folder, rows, engine, len(material.data.heads), options.bun, temporary)[0]

        staged, cards, runs = {}, {}, {"f32": answers(source, "cpu")}
        for name, (network, calibration, _) in candidates.items():
            staged[name] = Path(temporary) / name / out.name
            scores = material.scores(branch, network, calibration)
            cards[name] = stage(staged[name], restored, network, calibration, REMARKS[name], INT8_TOLERANCE, prefix, scores)
            runs[name] = answers(staged[name], "cpu")
        report(material, runs)
        failures = {name: failed(material, restored.card, runs["f32"], runs[name]) for name in candidates}
        for name, found in failures.items():
            print(f"{name}: {'; '.join(found) or 'passes the gate'}")
        passing = [name for name in candidates if not failures[name]]
        if not passing:
            raise SystemExit("nothing written")
        chosen = max(passing, key=lambda name: candidates[name][2])
        wasm = answers(staged[chosen], "wasm")
        print(
            f"{chosen} is taken; largest change of a probability {np.abs(runs[chosen] - runs['f32']).max():.4f}, "
            f"between cpu and wasm {np.abs(runs[chosen] - wasm).max():.1e}"
        )
        card = cards[chosen]
        for k, head in enumerate(card["heads"]):
            for name in candidates:
                head["metrics"][f"{prefix}{name.capitalize()}/test"] = score(material.test.labels[:, k], runs[name][:, k])
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(staged[chosen] / "model.onnx", out / "model.onnx")
        (out / "card.json").write_text(json.dumps(card) + "\n")
    print(f"wrote {out / 'model.onnx'} ({(out / 'model.onnx').stat().st_size} bytes) and card.json")


def write_validated(material, restored, candidates, out):
    """Writes the candidate with the best score on validation rows among those that lose no more there than they may."""
    branch = restored.branch
    identity = (np.ones(len(material.data.heads), dtype=np.float32), np.zeros(len(material.data.heads), dtype=np.float32))
    f32 = material.scores(branch, restored.network, identity)[1]
    scores = {name: material.scores(branch, network, calibration) for name, (network, calibration, _) in candidates.items()}
    failures = {name: lost_too_much(f32, made[1]) for name, made in scores.items()}
    for name, found in failures.items():
        print(f"{name}: {'; '.join(found) or 'keeps what it may lose'}", flush=True)
    passing = [name for name in candidates if not failures[name]]
    if not passing:
        raise SystemExit("nothing written: " + "; ".join(f"{name}: {', '.join(found)}" for name, found in failures.items()))
    chosen = max(passing, key=lambda name: candidates[name][2])
    network, calibration, _ = candidates[chosen]
    name = f"{restored.card['name']}-int8"
    stage(out, restored, network, calibration, REMARKS[chosen], INT8_TOLERANCE, "int8", scores[chosen], name)
    print(f"{chosen} is taken; wrote {out / 'model.onnx'} ({(out / 'model.onnx').stat().st_size} bytes) and card.json")


def lost_too_much(f32, int8):
    """What of the AUC of each head, mean over the captures' validation rows, is beyond what INT8 may cost."""
    lost = [before["auc"] - after["auc"] for before, after in zip(f32, int8)]
    failures = []
    if np.mean(lost) > MEAN_LOSS_MAX:
        failures.append(f"mean AUC loss {np.mean(lost):.5f} > {MEAN_LOSS_MAX}")
    if max(lost) > HEAD_LOSS_MAX:
        failures.append(f"worst AUC loss {max(lost):.5f} > {HEAD_LOSS_MAX}")
    return failures


def failed(material, card, f32, int8):
    """What of the gate, and of what INT8 may cost, is not kept on the test capture."""
    labels = material.test.labels
    heads = range(labels.shape[1])
    scores = [score(labels[:, k], int8[:, k]) for k in heads]
    before = [score(labels[:, k], f32[:, k]) for k in heads]
    baselines = [head["metrics"]["logisticRegression/test"] for head in card["heads"]]
    failures = gate(
        material.data, [{"int8": own, "logisticRegression": baseline} for own, baseline in zip(scores, baselines)], "int8"
    )
    return failures + lost_too_much(before, scores)


def report(material, runs):
    labels = material.test.labels
    print(f"\n| head | {' | '.join(f'{metric}: ' + ' / '.join(runs) for metric in ('AUC', 'average precision', 'Brier', 'log loss'))} |")
    print("|---|---|---|---|---|")
    scores = [[score(labels[:, k], p[:, k]) for p in runs.values()] for k in range(labels.shape[1])]
    mean = [{key: float(np.mean([head[i][key] for head in scores])) for key in scores[0][i]} for i in range(len(runs))]
    for name, row in [*zip(material.data.heads, scores), ("**mean**", mean)]:
        cells = [" / ".join(f"{each[key]:.4f}" for each in row) for key in ("auc", "averagePrecision", "brier", "logLoss")]
        print(f"| {name} | {' | '.join(cells)} |")
    print(flush=True)


if __name__ == "__main__":
    main()
