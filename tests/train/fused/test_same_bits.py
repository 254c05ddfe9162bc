"""Threads change nothing, and weights and slots pass between the fused and the plain path."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from assay import spec
from assay.nets.build import Network
from assay.train.device import has_bfloat16
from assay.train.fused.learner import FusedLearner
from assay.train.learner import Batch, Learner
from assay.train.plain import PlainLearner
from assay.train.scaling import Scaling

from ...helpers import same_weights
from .reference import STREAMS, error, network_of, random_batch

WORDS = ["conv 5 3x3 relu", "batchnorm", "maxpool 2", "dropout 0.3", "conv 6 3x3 relu", "maxpool 2 stride=1", "flatten",
         "batchnorm", "dropout 0.2", "dense 10 relu", "dense classes softmax"]  # fmt: skip
SHAPE = (11, 12, 1)
SIZE = 37  # three blocks, which two threads cannot share evenly
SCALING = Scaling(torch.tensor([100.0]), torch.tensor([1 / 60]))
Precision = Literal["float32", "bfloat16"]
NATIVE: Precision = "bfloat16" if has_bfloat16() else "float32"


def optimizer_of(name: str) -> spec.Optimizer:
    settings = {"sgd": {"learning_rate": 0.02, "momentum": 0.9}, "rmsprop": {"momentum": 0.5, "centered": True}}
    return spec.Optimizer.of({"name": name, **settings.get(name, {})})


def network() -> Network:
    """At the start of training, where gradients are steep."""
    return network_of(WORDS, SHAPE)


def fused(optimizer: str = "adam", precision: Precision = "float32", threads: int = 1) -> FusedLearner:
    made = FusedLearner(
        network().summary, optimizer_of(optimizer), SCALING, precision=precision, batch_size=SIZE, streams=STREAMS,
        threads=threads,
    )  # fmt: skip
    made.load_weights({name: value.detach() for name, value in network().state_dict().items()})
    return made


def plain(optimizer: str = "adam") -> PlainLearner:
    return PlainLearner(network(), optimizer_of(optimizer), SCALING)


def train(learner: Learner, steps: range) -> Learner:
    rate = {"SGD": 0.02, "Adadelta": 0.5}.get(type(learner.optimizer).__name__.removeprefix("Fused"), 1e-3)  # type: ignore[attr-defined]
    for step in steps:
        batch = random_batch(SHAPE, SIZE - step % 2 * 5, seed=step)
        learner.train_batch(Batch(batch.images, batch.indices, batch.classes), step=step, learning_rate=rate)
    return learner


def hand_over(source: Learner, target: Learner) -> Learner:
    tensors = {**source.weights(), **source.slots()}
    target.load_weights(tensors)
    target.load_slots(tensors)
    return target


CURVED = ["conv 5 3x3 gelu", "avgpool 3 stride=2 padding=same", "conv 6 3x3", "batchnorm", "elu", "globalmaxpool",
          "dense 9 silu", "dense classes softmax"]  # fmt: skip


APART: list[Any] = [
    "conv 6 3x3 relu", "depthwise 3x3 multiplier=2 bias=false", "batchnorm", "relu",
    {"residual": ["separable 12 3x3 relu padding=same"]}, "maxpool 2", "conv 10 1x1", "globalavgpool", "softmax",
]  # fmt: skip


MEETING: list[Any] = [
    {"residual": ["conv 6 3x3 padding=same relu"], "shortcut": ["conv 6 1x1"]},
    {"residual": ["conv 8 3x3 stride=2 padding=same bias=false", "batchnorm", "relu", "conv 8 3x3 padding=same"],
     "shortcut": ["maxpool 2 padding=same", "conv 8 1x1 bias=false", "batchnorm"], "activation": "relu"},
    {"residual": ["batchnorm", "relu", "conv 8 3x3 padding=same", "dropout 0.2"]},
    {"parallel": [["conv 6 3x3 padding=same groups=2"], ["conv 4 3x3 dilation=2 padding=same"],
                  ["maxpool 3 stride=1 padding=same"], []]}, "batchnorm", "groupnorm 2",
    "layernorm", "prelu", "prelu per=layer", "globalavgpool",
    "dense classes softmax",
]  # fmt: skip


TILES = ["conv 17 3x3 relu", "maxpool 2", "conv 33 3x3 relu padding=same", "conv 26 3x3 relu padding=same", "flatten",
         "dense 90 relu", "dense classes softmax"]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [WORDS, CURVED, APART, TILES, MEETING],
    ids=["largest", "curved", "channels apart", "tiles", "paths that meet"],
)
@pytest.mark.parametrize("precision", [NATIVE, "float32"])
def test_any_number_of_threads_gives_the_same_bits(
    precision: Precision, words: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assay.train.fused.commands.WORTH_SHARING", 0)  # share even the smallest call
    monkeypatch.setattr(f"{__name__}.WORDS", words)
    one, two, three = (train(fused(precision=precision, threads=threads), range(4)) for threads in (1, 2, 3))
    assert not same_weights(one.weights(), fused().weights())
    batch = random_batch(SHAPE, 150, seed=9)
    for other in (two, three):
        assert same_weights(one.weights(), other.weights())
        assert same_weights(one.slots(), other.slots())
        scores = [learner.score(batch.images, batch.classes, batch.indices) for learner in (one, other)]
        assert scores[0] == scores[1]


@pytest.mark.parametrize("words", [WORDS, TILES, MEETING], ids=["largest", "tiles", "paths that meet"])
@pytest.mark.parametrize("precision", [NATIVE, "float32"])
def test_fewer_registers_give_the_same_bits(
    precision: Precision, words: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many sums are taken side by side is chosen for the processor; each of them stays as it is."""
    monkeypatch.setattr(f"{__name__}.WORDS", words)
    found = []
    for registers in (32, 8):
        monkeypatch.setattr("assay.train.fused.vectors.REGISTERS", registers)
        monkeypatch.setattr("assay.train.fused.vectors.ACCUMULATORS", registers * 3 // 4)
        found.append(train(fused(precision=precision), range(3)))
    assert not same_weights(found[0].weights(), fused().weights())
    assert same_weights(found[0].weights(), found[1].weights())


@pytest.mark.parametrize("words", [WORDS, APART, MEETING], ids=["largest", "channels apart", "paths that meet"])
def test_weights_go_in_and_come_out_as_they_are(words: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.WORDS", words)
    given = {name: value.detach() for name, value in network().state_dict().items()}
    returned = fused().weights()
    assert list(returned) == list(given)
    assert same_weights(returned, given)
    assert all(returned[name].stride() == value.stride() for name, value in given.items())


def test_returned_weights_are_copies() -> None:
    learner = fused()
    before = learner.weights()
    kept = {name: value.clone() for name, value in before.items()}
    train(learner, range(2))
    assert same_weights(before, kept)
    assert not any(torch.equal(learner.weights()[name], value) for name, value in kept.items())


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adadelta", "muon"])
@pytest.mark.parametrize("words", [WORDS, APART], ids=["largest", "channels apart"])
def test_slots_have_the_names_and_shapes_of_the_plain_path(
    optimizer: str, words: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.WORDS", words)
    ours, theirs = (train(learner, range(3)) for learner in (fused(optimizer), plain(optimizer)))
    assert ours.slots().keys() == theirs.slots().keys() != set()
    for name, value in theirs.slots().items():
        assert ours.slots()[name].shape == value.shape
        if not value.any():  # muon's squares of kernels
            assert not ours.slots()[name].any()
            continue
        # Not their bits: three steps apart, by rounding only. Adadelta's and RMSprop's start is a division by almost 0.
        assert error(ours.slots()[name], value) < 1e-2, name


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adadelta", "muon"])
def test_slots_pass_through_the_other_path_unchanged(optimizer: str) -> None:
    source = train(fused(optimizer), range(3))
    there = hand_over(source, plain(optimizer))
    back = hand_over(there, fused(optimizer))
    assert same_weights(there.slots(), source.slots())
    assert same_weights(there.weights(), source.weights())
    assert same_weights(back.slots(), source.slots())
    assert same_weights(train(back, range(3, 6)).weights(), train(source, range(3, 6)).weights())


def moved(after: dict[str, Tensor], before: dict[str, Tensor]) -> Tensor:
    return torch.cat([(after[name] - before[name]).flatten() for name in before])


@pytest.mark.parametrize(("first", "second"), [(fused, plain), (plain, fused)], ids=["to plain", "to fused"])
def test_a_checkpoint_goes_on_in_the_other_path(first: type, second: type) -> None:
    whole = train(second("sgd"), range(8))
    half = train(first("sgd"), range(4))
    resumed = train(hand_over(half, second("sgd")), range(4, 8))
    start = fused().weights()
    # Where the two paths round differently, eight steps at this rate amplify it at most some hundredfold.
    assert error(moved(resumed.weights(), start), moved(whole.weights(), start)) < 1e-3
    without_slots = second("sgd")
    without_slots.load_weights(train(first("sgd"), range(4)).weights())
    assert error(moved(train(without_slots, range(4, 8)).weights(), start), moved(whole.weights(), start)) > 0.05


def test_both_paths_score_alike() -> None:
    batch = random_batch(SHAPE, 300, seed=9)
    chosen = np.random.default_rng(0).permutation(300)[:200]  # more than one batch of evaluation, the last one short
    ours, theirs = (learner.score(batch.images, batch.classes, chosen) for learner in (fused(), plain()))
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5)
    assert ours[1] == theirs[1]


def test_more_images_than_there_is_room_for_are_refused() -> None:
    learner = fused()
    batch = random_batch(SHAPE, 1000, seed=1)
    with pytest.raises(ValueError, match="1000 images for buffers of"):
        learner.train_batch(Batch(batch.images, batch.indices, batch.classes), step=0, learning_rate=0.1)
