"""Training in whole numbers on the kernels, against float64 on torch's layers by the same straight-through rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from assay.nets import parse, quantizer, summarize
from assay.nets.build import Network
from assay.nets.fixed_point import CODINGS
from assay.nets.quantizer import kernel_codes
from assay.spec import Quantization
from assay.train.device import kernels_round
from assay.train.fused.commands import CommandList, Team
from assay.train.fused.plan import why_not_bfloat16
from assay.train.fused.quantizing import record

from .reference import CLASSES, STREAMS, Batch, by_kernels, by_torch, fused_of, network_of, worst

NORMED = [
    *["conv 4 3x3 padding=same bias=false", "batchnorm", "relu", "conv 5 3x3 bias=false", "batchnorm", "relu"],
    *["maxpool 2", "conv 3 2x2 l2=0.01 relu", "dropout 0.5", "flatten", "dense 12 relu", "dense classes softmax"],
]
# Maxima stand before elu, where kernels have them in either order: of what they leave out nobody then takes note.
RECORD = [
    *["conv 3 3x3 padding=same", "maxpool 2", "elu", "separable 6 3x3 padding=same", "elu", "avgpool 2"],
    *["separable 8 2x2 padding=same", "elu", "depthwise 2x2 bias=false", "flatten", "dense classes softmax"],
]
BLOCKS = [
    *[
        "conv 4 3x3 relu padding=same",
        "maxpool 2",
        {"residual": ["conv 4 3x3 padding=same bias=false", "batchnorm"]},
        "relu",
    ],
    {"parallel": [["conv 4 1x1 tanh"], ["depthwise 3x3 padding=same leakyrelu"], []]},
    *["conv 6 3x3 groups=3 relu6", "prelu per=channel", "conv 10 2x2", "globalavgpool", "softmax"],
]
CASES = {
    "normed": (NORMED, {"weights": 4}),
    "record": (RECORD, {"weights": 8, "layers": {"separable1": 4, "dense1": "ternary"}}),
    "blocks": (BLOCKS, {"weights": 2, "powers_of_two": True}),
    "few bits": (NORMED, {"weights": "ternary", "activations": 4}),
}
SLOW = pytest.mark.slow
FAR = 4e-6  # of a step: how far from a tie float32 rounds as float64 does


def quantized_network(words: list, settings: dict, shape: tuple[int, int, int] = (8, 8, 1)) -> Network:
    plain = network_of(words, shape)
    summary = replace(summarize(parse(words), shape, CLASSES), quantization=Quantization(**settings))
    network = Network(summary, STREAMS)
    network.load_state_dict({**plain.state_dict(), "scales.ranges": torch.zeros_like(network.scales.ranges)})
    return network


def batch_of(seed: int, count: int = 21, shape: tuple[int, int, int] = (8, 8, 1)) -> Batch:
    """Bytes times a power of two, so that sums of a first layer are exact in both precisions."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    return Batch(images, rng.integers(0, CLASSES, count), np.zeros(shape[2], np.float32), np.full(shape[2], 2**-7, "f"))


def clear_case(words: list, settings: dict, monkeypatch: pytest.MonkeyPatch) -> tuple[Network, Batch]:
    """A network whose scales have followed some batches, and a batch on which nothing lies near a tie."""
    network = quantized_network(words, settings)
    network.train()
    network.set_step(0)
    for seed in range(25):
        with torch.no_grad():
            network(batch_of(seed).pixels())
    nearest: list[float] = []
    plain = quantizer.rounded

    def noted(values, scale, low, high):
        at = values / scale
        at = at[(at > low - 1) & (at < high + 1)]
        distance = (at - torch.floor(at) - 0.5).abs()
        nearest.append(float(torch.where(distance > 1e-12, distance, 1.0).min()))  # an exact tie is one everywhere
        return plain(values, scale, low, high)

    for seed in range(100, 160):
        nearest.clear()
        with monkeypatch.context() as patch:
            patch.setattr(quantizer, "rounded", noted)
            by_torch(network, batch_of(seed))
        if min(nearest) > FAR:
            return network, batch_of(seed)
    raise AssertionError("every batch has a tie")


@pytest.mark.parametrize("powers_of_two", [False, True])
@pytest.mark.parametrize("coding", CODINGS.values(), ids=list(CODINGS))
def test_kernels_round_weights_as_torch_does(coding, powers_of_two):
    rng = np.random.default_rng(3)
    for rows, outputs in ((1, 7), (9, 5), (72, 20), (301, 3)):
        weights = (rng.normal(0, 0.3, (rows, outputs)) * rng.uniform(0.01, 10, outputs)).astype(np.float32)
        weights[:, 0] *= rng.random() < 0.5
        codes, scales = kernel_codes(torch.from_numpy(weights.T.copy()), coding, powers_of_two=powers_of_two)
        for threads in (1, 2):
            used = np.zeros(rows * outputs, np.float32)
            commands = CommandList()
            record(commands, weights.reshape(-1), used, outputs, coding, powers_of_two=powers_of_two)
            Team(threads).run(commands)
            np.testing.assert_array_equal(used.reshape(rows, outputs), (codes * scales[:, None]).T.numpy())


@pytest.mark.parametrize(
    "name", ["record", "blocks", *(pytest.param(name, marks=SLOW) for name in ("normed", "few bits"))]
)
def test_loss_gradients_and_scales_are_those_of_float64(name, monkeypatch):
    network, batch = clear_case(*CASES[name], monkeypatch)
    expected, fused = by_torch(network, batch), fused_of(network, 32)
    given = by_kernels(fused, batch)
    assert given.hits == expected.hits
    assert given.loss == pytest.approx(expected.loss, rel=1e-5)
    error, where = worst(given.gradients, expected.gradients)
    assert error < 2e-5, where
    np.testing.assert_allclose(fused.state()["scales.ranges"], expected.statistics["scales.ranges"], rtol=1e-5)


@pytest.mark.skipif(not kernels_round(), reason="this processor does not multiply bfloat16")
@pytest.mark.parametrize("name", ["record", *(pytest.param(name, marks=SLOW) for name in ("normed", "few bits"))])
def test_bfloat16_computes_forward_what_float32_does(name, monkeypatch):
    """What it multiplies it holds exactly, in training too; gradients are rounded to its eight bits, step by step."""
    network, batch = clear_case(*CASES[name], monkeypatch)
    assert why_not_bfloat16(network.summary) == ""
    expected, fused = by_torch(network, batch), fused_of(network, 32, precision="bfloat16")
    given = by_kernels(fused, batch)
    assert given.hits == expected.hits
    assert given.loss == pytest.approx(expected.loss, rel=1e-5)
    error, where = worst(given.gradients, expected.gradients)
    assert error < 0.02, where
    np.testing.assert_allclose(fused.state()["scales.ranges"], expected.statistics["scales.ranges"], rtol=1e-5)


def test_what_cannot_be_in_bfloat16_is_said():
    assert "paths part and meet" in why_not_bfloat16(quantized_network(*CASES["blocks"]).summary)
    slopes = ["conv 4 3x3", "prelu", "flatten", "dense classes softmax"]
    assert "slopes" in why_not_bfloat16(quantized_network(slopes, {}).summary)


@pytest.mark.parametrize("name", ["blocks", *(pytest.param(name, marks=SLOW) for name in CASES if name != "blocks")])
def test_evaluation_is_that_of_torch(name):
    """Of 100 images at most a few lie so near a tie that float32 rounds one value otherwise."""
    words, settings = CASES[name]
    network = quantized_network(words, settings).train()
    network.set_step(0)
    with torch.no_grad():
        for seed in range(25):
            network(batch_of(seed).pixels())
        network.eval()
        batch = batch_of(500, 100)
        expected = network(batch.pixels()).numpy()
    fused = fused_of(network, 100)
    fused.pack()
    fused.put_images(batch.images, batch.indices, batch.offset, batch.factor)
    given = fused.logits(100)
    close = np.isclose(given, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()).all(1)
    assert close.mean() >= 0.95
    np.testing.assert_allclose(given, expected, atol=0.1 * np.abs(expected).max())


def test_any_number_of_threads_gives_the_same_bits():
    network = quantized_network(*CASES["record"])
    states = []
    for threads in (1, 2):
        fused = fused_of(network, 40, threads=threads)
        for seed in range(6):
            by_kernels(fused, batch_of(seed, 40 - seed), step=seed)
            fused.values -= 0.05 * fused.gradients
        states.append(fused.state())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_diverged_weight_shows_in_the_loss():
    fused = fused_of(quantized_network(*CASES["normed"]), 16)
    fused.values[3] = np.nan
    assert np.isnan(by_kernels(fused, batch_of(1, 16)).loss)
