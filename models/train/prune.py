"""
Structured pruning of a trained step model: whole units are dropped, and what is left is trained on.

    python models/train/prune.py --model models/lstm-residual --keep hidden=32 --out FOLDER --scratch FOLDER

A unit's importance is the square of the loss's derivative by a factor on its output, mean over batches of training rows
(Molchanov, Mallya, Tyree, Frosio, Kautz, "Importance Estimation for Neural Network Pruning", 2019, equation 8 with a gate): what the
loss changes by, to first order, when the unit falls away. The derivative by that factor is the sum of weight × gradient over all
weights that read the unit. Units go in steps of an eighth of what there was, and after each step the network is trained on for an
epoch, at the end for more, towards what the model was trained to. `--keep` names sizes: `hidden` of
lstm-residual and lstm-attn, `width` of tcn, `key`, `value` and `wide` of transformer; `--sweep` prints the validation score at every
size on the way and writes nothing.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dataset import TEST
from finetune import calibrated, fine_tune, mirror_of, validation_score
from training import STREAMS, UNROLL
from variant import F32_TOLERANCE, Material, add_arguments, stage

STEPS = 8
"""A group is cut down by this part of its units at a time."""
EPOCHS_BETWEEN = 1
EPOCHS_LAST = 6
IMPORTANCE_BATCHES = 64


def units_of(axis, kept, count):
    """Indices along an axis of the kept units out of `count`."""
    return torch.cat([torch.as_tensor(kept) + copy * count for copy in range(axis.copies)])


def importance(network, group, batches):
    """Importance [units] of each unit of a group. `batches` yields losses to differentiate."""
    axes = [axis for axis in network.groups()[group] if axis.outgoing]
    count = network.sizes[group]
    parameters = dict(network.named_parameters())
    total = torch.zeros(count)
    for loss in batches:
        network.zero_grad()
        loss.backward()
        change = torch.zeros(count)
        for axis in axes:
            weight = parameters[axis.parameter]
            product = (weight * weight.grad).detach().movedim(axis.dim, 0).reshape(axis.copies, count, -1)
            change += product.sum((0, 2))
        total += change.square()
    network.zero_grad()
    return total.numpy()


def pruned(network, group, kept):
    """A smaller network with the units of `kept`, ascending, of one group."""
    count = network.sizes[group]
    made = type(network)(network.feature_count, network.head_count, **{**network.sizes, group: len(kept)})
    state = network.state_dict()
    for axis in network.groups()[group]:
        state[axis.parameter] = state[axis.parameter].index_select(axis.dim, units_of(axis, kept, count))
    made.load_state_dict(state)
    if hasattr(network, "query"):
        # Attention divides its scores by the root of their width; those of the units that are left keep their scale.
        with torch.no_grad():
            for parameter in made.query.parameters():
                parameter.mul_(math.sqrt(made.query.out_features / network.query.out_features))
    return made


def importance_batches(data, branch, network, parts, weights, seed):
    """Losses on random windows of training rows, half of them mirrored."""
    rng = np.random.default_rng(seed)
    mirror = mirror_of(data)
    prepared = [(branch.normaliser(part.features), part.labels) for part in parts]
    network.eval()
    for _ in range(IMPORTANCE_BATCHES):
        rows = []
        for _ in range(STREAMS):
            at = rng.integers(len(parts))
            features, labels = prepared[at]
            start = rng.integers(len(features) - UNROLL)
            window = features[start : start + UNROLL]
            sample = (window, branch.logits(window), labels[start : start + UNROLL])
            rows.append((*(mirror(*sample) if rng.random() < 0.5 else sample), weights[at]))
        features, linear, labels = (torch.from_numpy(np.stack([row[i] for row in rows]).astype(np.float32)) for i in range(3))
        weight = torch.tensor([row[3] for row in rows], dtype=torch.float32)
        residual, _ = network(features)
        losses = nn.functional.binary_cross_entropy_with_logits(linear + residual, labels, reduction="none")
        yield (losses.mean((1, 2)) * weight).mean()


def parse_sizes(text, network):
    sizes = dict(part.split("=") for part in text.split(","))
    for name, value in sizes.items():
        if name not in network.groups() or not 1 <= int(value) <= network.sizes[name]:
            raise SystemExit(f"--keep {name}={value}: expected one of {network.sizes}, at most that many")
    return {name: int(value) for name, value in sizes.items()}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", required=True, help="folder of the f32 model")
    arguments.add_argument("--keep", required=True, help="sizes to keep, such as hidden=32")
    arguments.add_argument("--out", help="folder of the pruned f32 model")
    arguments.add_argument("--sweep", action="store_true", help="tell the score at every size, write nothing")
    add_arguments(arguments)
    options = arguments.parse_args()
    if not options.sweep and options.out is None:
        arguments.error("--out FOLDER or --sweep is needed")
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)

    material = Material.load(options)
    data, parts, weights, validation = material.data, material.parts, material.weights, material.validation
    restored = material.restore(options.model)
    branch, network = restored.branch, restored.network
    evaluate = validation_score(data, branch, validation)
    print(f"{restored.card['name']} {network.sizes}: validation {evaluate(network):.4f}", flush=True)

    for group, goal in parse_sizes(options.keep, network).items():
        step = max(1, network.sizes[group] // STEPS)
        while network.sizes[group] > goal:
            left = max(goal, network.sizes[group] - step)
            scores = importance(network, group, importance_batches(data, branch, network, parts, weights, options.seed))
            network = pruned(network, group, np.sort(np.argsort(scores)[-left:]))
            cut = evaluate(network)
            epochs = EPOCHS_LAST if options.sweep or left == goal else EPOCHS_BETWEEN
            after = fine_tune(material, branch, network, epochs, options.seed)
            print(f"{group} {left}: cut {cut:.4f}, trained on {' '.join(f'{each:.4f}' for each in after)}", flush=True)
    if options.sweep:
        return
    calibration = calibrated(data, branch, network, validation)
    out = Path(options.out)
    scores = material.scores(branch, network, calibration)
    remark = f" Pruned from {restored.card['name']}, its least important units dropped."
    stage(out, restored, network, calibration, remark, F32_TOLERANCE, "pruned", scores)
    mean = {metric: np.mean([head[metric] for head in scores[0]]) for metric in ("auc", "averagePrecision")}
    print(f"wrote {out}: {network.sizes}, {TEST} mean AUC {mean['auc']:.4f}, average precision {mean['averagePrecision']:.4f}")


if __name__ == "__main__":
    main()
