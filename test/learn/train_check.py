"""Checks of models/train that need torch, run by training.test.ts: a line `CHECK: ok`, or what is wrong, for each one named."""

import json
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models" / "train"))

import numpy as np
import torch

import graph
from dataset import TEST, BuiltDataset, Dataset, Rows, first_of_each, learning_parts
from families import FAMILIES
from keel_dataset import DatasetError
from linear import Bins, Branch, Normaliser, fit_logistic, sigmoid
from metrics import resampled_auc, score
from network import run
from parallel import workers
from prune import importance, pruned
from quantise import lost_too_much
from quantised import SAMPLES, quantise, sampled
from restore import Reader
from training import STREAM_ROWS, STREAMS, Setup, train

FEATURES, HEADS = 6, 3
SMALL = {"lstm-residual": {"hidden": 8}, "lstm-attn": {"hidden": 8}, "tcn": {"width": 8}, "transformer": {"key": 8, "value": 8, "wide": 12}}


def network_of(family, seed):
    """A network with weights in its head too, and without dropout."""
    torch.manual_seed(seed)
    network = FAMILIES[family](FEATURES, HEADS, **SMALL[family])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    for dropout in (network.input_dropout, network.dropout):
        dropout.p = 0.0
    return network.eval()


def captures_of(seed):
    """Two captures with enough streams for an update, whose labels the features and their past tell of."""
    rng = np.random.default_rng(seed)
    captures = []
    for rows in (20 * 1_024, 13 * 1_024 + 77):
        features = rng.standard_normal((rows, FEATURES)).astype(np.float32)
        past = np.concatenate([np.zeros((3, FEATURES), dtype=np.float32), features[:-3]])
        labels = (features[:, :HEADS] + past[:, :HEADS] > 0).astype(np.float32)
        captures.append((features, 0.1 * features[:, :HEADS], labels, np.float32(1.0), [0]))
    assert sum(len(capture[0]) // 1_024 for capture in captures) >= STREAMS
    return captures


def mirror(features, logits, labels):
    return -features, logits, labels


def branch_of(seed):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((500, FEATURES)).astype(np.float32) * 2 + 1
    clip = np.tile(np.array([[-5.0, 5.0]], dtype=np.float32), (FEATURES, 1))
    normaliser = Normaliser(clip, rows)
    bins = Bins(normaliser(rows), 4, [0, 2])
    linear = rng.standard_normal((FEATURES, HEADS)).astype(np.float32), rng.standard_normal(HEADS).astype(np.float32)
    binned = rng.standard_normal((len(bins.index), HEADS)).astype(np.float32)
    return Branch(normaliser, bins, linear, binned), rows


def trained(setup, epochs=1):
    """Weights after `epochs` of one update group of 16 windows each, the state carried from window to window."""
    network = network_of("lstm-residual", 1)
    scores = train(network, captures_of(2), mirror, epochs, 4e-3, 3, lambda _: 0.0, setup)
    assert len(scores) == epochs
    return {name: value.numpy() for name, value in network.state_dict().items()}


def differs(a, b):
    return max(float(np.abs(a[name] - b[name]).max()) for name in a)


def parallel(out):
    """Started by torchrun: trains with the other processes; the first writes the weights."""
    with workers("cpu") as group:
        weights = trained(Setup(workers=group))
        np.savez(f"{out}.{group.rank}.npz", count=group.count, **weights)


def compare(out):
    """One process with the whole batch against the two that shared it."""
    alone = trained(Setup())
    start = {name: value.numpy() for name, value in network_of("lstm-residual", 1).state_dict().items()}
    moved = differs(alone, start)
    ranks = [dict(np.load(f"{out}.{rank}.npz")) for rank in range(2)]
    assert all(rank.pop("count") == 2 for rank in ranks), "two processes"
    between, against = differs(*ranks), differs(ranks[0], alone)
    assert moved > 1e-2, f"training moved no weight by more than {moved}"
    assert between == 0, f"processes hold weights that differ by {between}"
    assert against < 1e-4, f"two processes differ from one by {against}, weights moved by {moved}"


def accumulation():
    """The same update in four parts; the memory of one."""
    assert differs(trained(Setup()), trained(Setup(accumulate=4))) < 1e-4


def precision():
    """bf16 trains to nearly the same weights, and is not f32 by another name."""
    plain, mixed = trained(Setup()), trained(Setup(precision="bf16"))
    difference = differs(plain, mixed)
    assert 1e-6 < difference < 0.2, f"bf16 moved weights by {difference} against f32"
    for wrong in ({"precision": "fp16"}, {"accumulate": 5}, {"accumulate": 0}):
        try:
            Setup(**wrong)
        except ValueError:
            continue
        raise AssertionError(f"{wrong} was taken")


def graphs():
    """What torch computes in 8 bits is what the ONNX graph computes; f32 graphs can be read back."""
    branch, rows = branch_of(5)
    normalised = branch.normaliser(rows)
    identity = np.ones(HEADS), np.zeros(HEADS)
    for family in FAMILIES:
        network = network_of(family, 7)
        model = graph.build(branch, network, identity)
        tensors = {t.name: graph.numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer}
        step = graph.Step(branch.normaliser, branch.bins)
        other = network_of(family, 8)
        other.body(Reader(tensors, step.scale, step.shift))
        other.head.load_state_dict(network.head.state_dict())
        assert np.abs(run(other, normalised) - run(network, normalised)).max() < 1e-4, f"{family} read back"

        int8 = quantise(network, [normalised])
        expected = sigmoid(branch.logits(normalised[:150]) + run(int8, normalised[:150]))
        found = graph.steps(graph.build(branch, int8, identity), rows[:150])
        whole = sigmoid(branch.logits(normalised[:150]) + run(network, normalised[:150]))
        assert np.abs(found - expected).max() < 2e-3, f"{family}: torch and ONNX differ in 8 bits by {np.abs(found - expected).max()}"
        assert 0 < np.abs(expected - whole).max() < 0.15, f"{family}: 8 bits cost {np.abs(expected - whole).max()}"


def gradients():
    """The straight-through estimator lets the loss of a quantised network fall, and every weight of it moves."""
    _, rows = branch_of(5)
    for family in FAMILIES:
        network = quantise(network_of(family, 7), [rows])
        before = {name: value.detach().clone() for name, value in network.named_parameters()}
        labels = torch.from_numpy((rows[:200, :HEADS] > 1).astype(np.float32))[None]
        optimiser, losses = torch.optim.Adam(network.parameters(), 1e-2), []
        for _ in range(20):
            logits, _ = network(torch.from_numpy(rows[None, :200]))
            losses.append(torch.nn.functional.binary_cross_entropy_with_logits(logits, labels))
            optimiser.zero_grad()
            losses[-1].backward()
            optimiser.step()
        assert losses[-1] < 0.95 * losses[0], f"{family}: loss {losses[0]} to {losses[-1]}"
        still = [name for name, value in network.named_parameters() if torch.equal(value, before[name])]
        assert not still, f"{family}: {still} did not move"


def pruning():
    """Units that nothing reads are the least important, and the network without them answers the same."""
    _, rows = branch_of(5)
    for family in FAMILIES:
        for group, axes in network_of(family, 7).groups().items():
            network = network_of(family, 7)
            parameters = dict(network.named_parameters())
            count, dead = network.sizes[group], [1, 4]
            with torch.no_grad():
                for axis in axes:
                    if axis.outgoing:
                        at = torch.cat([torch.tensor(dead) + copy * count for copy in range(axis.copies)])
                        parameters[axis.parameter].index_fill_(axis.dim, at, 0.0)

            def losses():
                logits, _ = network(torch.from_numpy(rows[None, :200]))
                yield logits.square().mean()

            scores = importance(network, group, losses())
            assert set(np.argsort(scores)[:2]) == set(dead), f"{family} {group}: {scores}"
            kept = np.sort(np.argsort(scores)[2:])
            smaller = pruned(network, group, kept)
            assert smaller.sizes[group] == count - 2
            apart = np.abs(run(smaller, rows) - run(network, rows)).max()
            assert apart < 1e-4, f"{family} {group}: pruned differs by {apart}"


def bootstrap():
    """Blocks drawn with weights give the area that rows drawn one by one give, ties included."""
    rng = np.random.default_rng(1)
    labels = (rng.random((4_000, 1)) < 0.2).astype(np.float32)
    values = np.round(0.5 * rng.random((4_000, 1)) + 0.2 * labels, 1) + 0.1
    times = np.arange(4_000) * 10_000.0
    areas = resampled_auc(times, labels, values, 9)
    draw = np.random.default_rng(9)
    for area in areas[:5, 0]:
        chosen = draw.integers(0, 8, 8)
        rows = np.concatenate([np.arange(block * 500, block * 500 + 500) for block in chosen])
        assert abs(area - score(labels[rows, 0], values[rows, 0])["auc"]) < 1e-9


def quiet():
    """A capture in whose rows an outcome never comes is told by name, head and use, before anything is fitted."""
    heads = ["down50", "down100", "up50", "up100", "bidWithdraw50", "askWithdraw50", "volatilitySpike"]
    with tempfile.TemporaryDirectory() as folder:
        for name in (TEST, "calm"):
            rng = np.random.default_rng(1)
            labels = (rng.random((4_000, len(heads))) < 0.2).astype(np.uint8)
            labels[3_000:, 2] = 0 if name == "calm" else labels[3_000:, 2]
            labels.tofile(Path(folder) / f"{name}.labels.u8")
            rng.standard_normal((4_000, 2)).astype(np.float32).tofile(Path(folder) / f"{name}.features.f32")
            np.zeros((4_000, 4), dtype=np.float32).tofile(Path(folder) / f"{name}.moves.f32")
            (np.arange(4_000) * 10_000.0).tofile(Path(folder) / f"{name}.times.f64")
        captures = [{"name": name, "rows": 4_000} for name in (TEST, "calm")]
        columns = {"features": ["a", "b"], "clip": [5, 5], "mirrorIndex": [0, 1], "mirrorFactor": [1, 1]}
        (Path(folder) / "manifest.json").write_text(json.dumps({**columns, "heads": heads, "captures": captures}))
        try:
            learning_parts(Dataset(folder))
            raise AssertionError("taken")
        except ValueError as error:
            assert str(error).startswith("calm: 0 of its 900 validation rows have up50, expected some with"), error
        parts, validation, _, test = learning_parts(Dataset(folder, 2_000))
        assert (len(parts[0]), len(validation[0]), len(test)) == (1_500, 400, 2_000)


def built():
    """Of a dataset, a recording that does not reach into a split, or in which an outcome never comes there, is left out of that split."""
    data = BuiltDataset.__new__(BuiltDataset)
    data.heads = ["down50", "down100", "up50", "up100", "bidWithdraw50", "askWithdraw50", "volatilitySpike"]
    data._ranges = {"train": (0, 2_999), "validation": (3_100, 3_999), "test": (4_100, 5_000)}
    rng = np.random.default_rng(1)

    def rows(name, first, count):
        labels = (rng.random((count, 7)) < 0.2).astype(np.float32)
        return Rows(name, np.zeros((count, 2), np.float32), labels, np.zeros((count, 4)), np.arange(first, first + count, dtype=float))

    whole, late, calm = rows("whole", 0, 5_000), rows("late", 4_200, 500), rows("calm", 0, 5_000)
    calm.labels[3_000:4_000, 2] = 0
    data.captures = {part.name: part for part in (whole, late, calm)} | {"test": rows("test", 4_100, 900)}
    parts, validation, _, test = learning_parts(data)
    assert [(part.name, len(part)) for part in parts] == [("whole", 3_000), ("calm", 3_000)]
    assert [(part.name, len(part)) for part in validation] == [("whole", 900)]
    assert (len(test), data.uses("late"), data.uses("whole")) == (900, [], ["train", "validate"])
    first = first_of_each(whole, data._ranges, 100)
    assert [len(first), first.times[100], first.times[200]] == [300, 3_100, 4_100]
    data.captures = {"late": late, "test": data.captures["test"]}
    try:
        learning_parts(data)
        raise AssertionError("taken")
    except DatasetError as error:
        assert "no training rows" in str(error), error


def pieces():
    """Where pieces of the time were left out a model begins anew, as it does in the desk's own evaluation; streams reach over none."""
    times = np.concatenate([np.arange(first, first + 200) * 1e6 for first in (1_000, 1_600, 2_000, 3_000)])
    rows = Rows("some", np.zeros((800, 1)), np.zeros((800, 7)), np.zeros((800, 4)), times, 600_000_000)
    # Pieces of 600 s: 1 and 2, 2 and 3, 3, then 5.
    assert rows.starts == [0, 600], rows.starts
    assert rows.part(slice(500, None)).starts == [0, 100]
    assert Rows("all", rows.features, rows.labels, rows.moves, times).starts == [0]

    rng = np.random.default_rng(4)
    for family in FAMILIES:
        network = network_of(family, 5)
        features = rng.standard_normal((9_000, FEATURES)).astype(np.float32)
        starts = [0, 700, 5_300]
        apart = np.concatenate([run(network, features[a:b]) for a, b in zip(starts, [*starts[1:], 9_000])])
        assert np.array_equal(run(network, features, starts), apart), family
        assert np.abs(run(network, features) - apart).max() > 1e-3, family

    # What stands before a cut must not count behind it: other rows there, the same weights when only rows behind it are learnt from.
    def weights_with(seed):
        captures = captures_of(2)
        cut = 8 * STREAM_ROWS
        other = np.random.default_rng(seed).standard_normal((cut, FEATURES)).astype(np.float32)
        features, linear, labels, weight, _ = captures[0]
        # A first piece that is too short for a stream, right before the cut.
        short = np.concatenate([other[:50], features])
        captures[0] = (short, np.concatenate([linear[:50], linear]), np.concatenate([labels[:50], labels]), weight, [0, 50])
        network = network_of("lstm-residual", 1)
        train(network, captures, mirror, 1, 4e-3, 3, lambda _: 0.0, Setup())
        return {name: value.numpy() for name, value in network.state_dict().items()}

    assert differs(weights_with(1), weights_with(2)) == 0
    assert differs(weights_with(1), trained(Setup())) == 0


def chunks():
    """What is computed in parts, so that memory stays bounded, is what is computed at once."""
    rng = np.random.default_rng(6)
    branch, rows = branch_of(7)
    normalised = branch.normaliser(rows)
    labels = (rng.random((len(rows), HEADS)) < sigmoid(normalised[:, :HEADS])).astype(np.float32)
    weights = np.full(len(rows), 0.5)
    encoded = np.concatenate([normalised, branch.bins(normalised)], axis=1)
    whole = fit_logistic(encoded, labels, weights, 1e-3)
    once = fit_logistic(normalised, labels, weights, 1e-3, encode=branch.bins.beside)
    assert np.array_equal(whole[0], once[0]) and np.array_equal(whole[1], once[1])
    parts = fit_logistic(normalised, labels, weights, 1e-3, encode=branch.bins.beside, rows_whole=64)
    assert np.abs(whole[0] - parts[0]).max() < 2e-3, np.abs(whole[0] - parts[0]).max()

    clip = np.tile(np.array([[-1.0, 2.0]], dtype=np.float32), (21, 1))
    features = rng.standard_normal((5_000, 21)).astype(np.float32)
    clipped = np.clip(features, -1, 2)
    normaliser = Normaliser(clip, features)
    assert np.array_equal(normaliser.mean, clipped.mean(axis=0, dtype=np.float64).astype(np.float32))
    assert np.array_equal(normaliser.factor, (1 / clipped.std(axis=0, dtype=np.float64)).astype(np.float32))

    captures = [np.arange(at, at + count, dtype=np.float32)[:, None] for at, count in ((0, 130_001), (130_001, 7), (130_008, 300_000))]
    every = np.concatenate(captures)
    assert np.array_equal(sampled(captures), every[:: len(every) // SAMPLES])


def losses():
    """INT8 that costs more than it may, on average or in one head, is told."""
    before = [{"auc": 0.9}, {"auc": 0.8}]
    assert lost_too_much(before, [{"auc": 0.8999}, {"auc": 0.8}]) == []
    assert lost_too_much(before, [{"auc": 0.897}, {"auc": 0.803}]) == ["worst AUC loss 0.00300 > 0.002"]
    assert len(lost_too_much(before, [{"auc": 0.897}, {"auc": 0.8}])) == 2


CHECKS = {check.__name__: check for check in (compare, accumulation, precision, graphs, gradients, pruning, bootstrap, quiet, built, pieces, chunks, losses)}


def main(out, names):
    torch.set_num_threads(1)
    if names == ["parallel"]:
        parallel(out)
        return
    for name in names:
        try:
            CHECKS[name](*([out] if name == "compare" else []))
            print(f"{name}: ok", flush=True)
        except Exception as error:
            print(f"{name}: {type(error).__name__} {error}".replace("\n", " "), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
