"""Normalization in whole numbers: against exact arithmetic, in C at the ends of its range, and in trained networks."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import assay
from assay.export import Portable
from assay.export.fixed_point import quantize, source_of
from assay.export.fixed_point.normalization import Normalizer, least_scale, whole_normalized
from assay.nets.fixed_point import Normalize, costs_of, lower

from ..contracts.test_export import network_of
from ..helpers import small_study
from .fixed_networks import END, host_answers, pictures, program_of

WORDS = ("layernorm", "groupnorm 2", "instancenorm")
EPSILON = 0.001


def operation(height: int, width: int, channels: int, groups: int, *, is_by_position: bool = False) -> Normalize:
    shape = (height, width, channels)
    return Normalize("norm", (0,), 1, shape, shape, groups, is_by_position, EPSILON)


def numbers(kind: str, one: Normalize, generator: np.random.Generator) -> NDArray[np.int64]:
    """50 images of bytes: spread out, all alike but one value, of two neighbours, at the ends."""
    shape = (50, *one.inputs)
    low, high = (0, 256) if "unsigned" in kind else (-128, 128)
    if "flat" in kind:
        x = np.full(shape, generator.integers(low, high), np.int64)
        x.reshape(50, -1)[:, 0] = generator.integers(low, high, 50)
        return x
    if "near" in kind:
        return generator.integers(5, 7, shape)
    if "ends" in kind:
        return np.where(generator.random(shape) < 0.5, low, high - 1)
    return generator.integers(low, high, shape)


@pytest.mark.parametrize("kind", ["signed", "unsigned", "flat", "near", "ends", "ends unsigned"])
@pytest.mark.parametrize("one", [
    operation(3, 4, 8, 1, is_by_position=True), operation(1, 1, 2, 1), operation(5, 6, 6, 3), operation(9, 7, 3, 3),
    operation(64, 64, 8, 1),
], ids=lambda one: f"{one.together} together")  # fmt: skip
@pytest.mark.parametrize("source", [1.0, 1 / 40, least_scale(operation(1, 1, 2, 1))])
def test_whole_numbers_say_what_the_formula_says(kind: str, one: Normalize, source: float) -> None:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, within half a step and what 15 bits leave of it."""
    generator = np.random.default_rng(4)
    channels = one.outputs[2]
    gamma, beta = generator.normal(1, 0.5, channels), generator.normal(0, 0.5, channels)
    target = 4 / 127
    constants = Normalizer.of(one, gamma, beta, source, target)
    x = numbers(kind, one, generator)[: 50 if one.together < 5000 else 3]
    given = whole_normalized(x, one, constants, (-(2**20), 2**20))
    real = x.astype(np.float64) * source
    if one.is_by_position:
        axes: tuple[int, ...] = (3,)
        sets = real
    else:
        sets = real.reshape(*real.shape[:3], one.groups, -1)
        axes = (1, 2, 4)
    normal = (sets - sets.mean(axes, keepdims=True)) / np.sqrt(sets.var(axes, keepdims=True) + EPSILON)
    exact = (normal.reshape(x.shape) * gamma + beta) / target
    # A mean of 6 bits is off by a 128th of a number at most, of which the deviation makes more.
    deviation = np.sqrt(sets.var(axes, keepdims=True) + EPSILON) / source
    blur = np.broadcast_to(1 / 128 / deviation, sets.shape).reshape(x.shape) * np.abs(gamma) / target
    bound = 0.51 + np.abs(exact) / 2**10 + blur + np.sqrt(one.together) * np.abs(gamma) / target / 2**15
    assert (np.abs(given - exact) <= bound).all()


def test_a_flat_image_is_its_shift() -> None:
    one = operation(4, 4, 2, 2)
    constants = Normalizer.of(one, np.array([1.0, 3.0]), np.array([0.25, -0.5]), 1 / 255, 1 / 64)
    given = whole_normalized(np.full((1, 4, 4, 2), 77), one, constants, (-128, 127))
    np.testing.assert_array_equal(given, np.broadcast_to([16, -32], given.shape))


def test_factors_beyond_16_bits_end_at_the_limits() -> None:
    """Where outputs are far larger than on the images of the calibration."""
    one = operation(4, 4, 2, 2)
    constants = Normalizer.of(one, np.array([1e6, 0.0]), np.array([0.0, -1e9]), 1 / 255, 1e-8)
    x = np.zeros((1, 4, 4, 2), np.int64)
    x[0, :2] = 100
    given = whole_normalized(x, one, constants, (-128, 127))
    np.testing.assert_array_equal(given[0, :2, :, 0], 127)
    np.testing.assert_array_equal(given[0, 2:, :, 0], -128)
    np.testing.assert_array_equal(given[..., 1], -128)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc here")
@pytest.mark.parametrize(("layers", "shape"), [
    (["groupnorm 1", "globalmaxpool", "dense classes softmax"], (128, 128, 2)),
    (["instancenorm", "relu6", "avgpool 2", *END], (6, 7, 2)),
    (["conv 4 3x3 relu", "layernorm", *END], (6, 7, 1)),
])  # fmt: skip
def test_c_stays_within_32_bits_at_the_ends(layers: list[str], shape: tuple[int, int, int], tmp_path: Path) -> None:
    """As many values as are taken together at most, all dark, all bright, half and half, one bright: no overflow that
    GCC's sanitizers see, and the bits of NumPy."""
    program, _, _ = program_of(layers, shape)
    images = np.zeros((6, *shape), np.uint8)
    images[1] = 255
    images[2, ::2] = 255
    images[3, 0, 0, 0] = 255
    images[4] = 255
    images[4, 0, 0, 0] = 0
    images[5] = pictures(1, shape)[0]
    given = host_answers(source_of(program, "ends"), tmp_path, images)
    np.testing.assert_array_equal(given, program.whole_logits(images))


def test_what_is_normalized_may_be_overwritten_and_relu_costs_nothing() -> None:
    network, _ = network_of(["conv 4 3x3", "layernorm", "relu", *END], (8, 8, 1))
    graph = lower(network.summary)
    assert [type(one).__name__ for one in graph.operations] == ["Convolve", "Normalize", "Convolve"]
    assert not graph.values[graph.operations[1].target].is_signed
    plain = lower(network_of(["conv 4 3x3", "relu", *END], (8, 8, 1))[0].summary)
    assert costs_of(graph).ram == costs_of(plain).ram
    assert costs_of(graph).bytes == costs_of(plain).bytes + 4 * 4  # a factor and a shift for each channel


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> assay.Result:
    layers = ["conv 8 3x3", "{norm}", "relu", "conv 8 3x3", "{norm}", "elu", "flatten", "dense classes softmax"]
    training = {"epochs": 6, "batch_size": 32, "optimizer": {"name": "adam", "learning_rate": 0.005}}
    study = small_study(
        name="normed", network={"layers": layers}, training=training, factors={"norm": list(WORDS)}, seeds={"count": 1}
    )
    return assay.run(study, store=tmp_path_factory.mktemp("normed"))


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc here")
@pytest.mark.parametrize("word", WORDS)
def test_trained_networks_keep_their_answers(word: str, trained: assay.Result, tmp_path: Path) -> None:
    """On the digits: as accurate in 8 bits as in float, and in C the same bits."""
    from assay.results.model import load_models

    run = next(run for run in trained.record.runs if word in run.arm)
    (model,) = load_models(trained.record, [run], trained.store)
    images, labels = model.validation()
    learned = model.dataset.training().images[:300]
    network = Portable.of(model.predictor, model.arm.layers, model.classes)
    program = quantize(network, learned)
    before = model.probabilities(images).argmax(1)
    after = program.logits(images).argmax(1)
    assert np.mean(before == labels) > 0.9
    assert np.mean(after == before) > 0.98
    given = host_answers(source_of(program, word), tmp_path, program.stored(images))
    np.testing.assert_array_equal(given, program.whole_logits(images))
