"""Ensembles answer as their members do: on torch's layers, on our kernels, and from many threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from assay.nets import parse
from assay.nets.build import build
from assay.prediction import Ensemble
from assay.seeds import Streams
from assay.train.predictor import Predictor
from assay.train.scaling import Scaling, scaling_of

SHAPE = (12, 10, 1)
PLAIN = ["conv 4 3x3 relu", "batchnorm", "maxpool 2", "dropout 0.1", "flatten", "dense classes softmax"]
UNFUSED = ["conv 5 3x3 relu", "flatten", "layernorm", "dense classes softmax"]  # odd channels as a vector


def predictors(layers: list[str], count: int, scaling: Scaling | None = None) -> list[Predictor]:
    """Networks as after some training: no moving statistic at the value that it starts from."""
    empty = scaling_of(np.empty((0, *SHAPE), np.uint8), "unit", np.empty(0, np.int64))
    found = []
    for seed in range(count):
        network = build(parse(layers), SHAPE, 4, Streams(seed))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, values in network.state_dict().items():
                if not name.endswith("kernel"):
                    values.add_(torch.rand(values.shape, generator=generator))
        found.append(Predictor(network, scaling or empty))
    return found


def ensemble(layers: list[str] = PLAIN, count: int = 3, temperature: float = 1.0) -> Ensemble:
    return Ensemble(predictors(layers, count), "abcd", SHAPE, temperature=temperature)


def images_of(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


@pytest.mark.parametrize("layers", [PLAIN, UNFUSED], ids=["fused", "torch"])
@pytest.mark.parametrize("are_many", [None, True])
def test_an_ensembles_answer_is_its_members_mean(layers: list[str], are_many: bool | None) -> None:
    asked = ensemble(layers)
    images = images_of(300)
    expected = np.mean([member.probabilities(images) for member in asked.predictors], axis=0)
    found = asked.probabilities(images, are_many=are_many)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert asked.probabilities(images[:0], are_many=are_many).shape == (0, 4)


def test_kernels_scale_bytes_and_floats_as_torch_does() -> None:
    scaling = Scaling(torch.tensor([30.0]), torch.tensor([0.01]))
    asked = Ensemble(predictors(PLAIN, 1, scaling), "abcd", SHAPE)
    for images in (images_of(40), images_of(40).astype(np.float32) + np.float32(0.5)):
        on_torch = asked.probabilities(images, are_many=False)
        np.testing.assert_allclose(asked.probabilities(images, are_many=True), on_torch, atol=1e-5)


def test_many_threads_are_answered_as_one_is() -> None:
    asked = ensemble()
    asked.load_kernels()
    batches = [images_of(size, seed) for seed, size in enumerate([1, 7, 128, 129, 1, 2500, 16, 1, 3])]
    expected = [asked.probabilities(images) for images in batches]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(asked.probabilities, batches * 5))
    for one, other in zip(found, expected * 5, strict=True):
        np.testing.assert_array_equal(one, other)


def test_temperature_keeps_the_order_and_the_sum() -> None:
    plain, images = ensemble(), images_of(50)
    before = plain.probabilities(images)
    for temperature in (0.5, 3.0):
        after = ensemble(temperature=temperature).probabilities(images)
        np.testing.assert_array_equal(after.argsort(1), before.argsort(1))
        np.testing.assert_allclose(after.sum(1), 1, atol=1e-6)
        expected = before.astype(np.float64) ** (1 / temperature)
        np.testing.assert_allclose(after, expected / expected.sum(1, keepdims=True), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 10, 12, 1), np.uint8), np.zeros((2, 12, 10), np.uint8), np.zeros((2, *SHAPE))], ids=str
)
def test_images_of_another_form_are_refused(images: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="expected uint8 or float32"):
        ensemble().probabilities(images)


def test_kernels_are_refused_where_they_cannot_be() -> None:
    with pytest.raises(ValueError, match="do not take"):
        ensemble(UNFUSED).load_kernels()
    with pytest.raises(ValueError, match="at least one"):
        Ensemble([], "ab", SHAPE)
