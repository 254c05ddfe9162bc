"""Precision follows what the processor's instructions are worth, not its flags."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from assay.nets import Summary, parse, summarize
from assay.nets.build import build
from assay.seeds import Streams
from assay.spec import Optimizer, Training
from assay.train import rates
from assay.train.device import has_bfloat16, kernels_round
from assay.train.fused.compiler import Kernel
from assay.train.fused.network import FusedNetwork
from assay.train.learner import Batch
from assay.train.paths import path_of
from assay.train.plain import PlainLearner
from assay.train.rates import Rates
from assay.train.scaling import Scaling

FUSED = ["conv 8 3x3 relu", "flatten", "dense classes softmax"]
# Kernels take no flattened pixels of an odd number of channels that are normalized.
PLAIN = ["conv 16 3x3 relu", "conv 33 3x3 relu", "flatten", "layernorm", "dense classes softmax"]


def summary(layers: list[str], side: int = 8) -> Summary:
    return summarize(parse(layers), (side, side, 1), 10)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A processor that multiplies bfloat16, whatever this machine has."""
    monkeypatch.setattr("assay.train.paths.kernels_round", lambda: True)
    monkeypatch.setattr("assay.train.rates.kernels_round", lambda: True)
    monkeypatch.setattr("assay.train.paths.has_bfloat16", lambda device="cpu": True)
    return monkeypatch


# GFLOP/s of one thread: an AMD Zen 4, and an Intel Xeon (family 6, model 207) without AMX.
@pytest.mark.parametrize(("rate", "expected"), [(Rates(115, 231), "bfloat16"), (Rates(177, 86), "float32")])
def test_auto_takes_the_faster_precision(measured: pytest.MonkeyPatch, rate: Rates, expected: str) -> None:
    measured.setattr("assay.train.rates.rates", lambda: rate)
    assert path_of(summary(FUSED), Training()) == ("fused", expected)
    assert path_of(summary(FUSED), Training(precision="bfloat16")) == ("fused", "bfloat16")
    assert path_of(summary(FUSED), Training(precision="float32")) == ("fused", "float32")
    assert path_of(summary(PLAIN, 28), Training()) == ("plain", expected)
    assert path_of(summary(PLAIN, 8), Training()) == ("plain", "float32")  # too little to compute
    depthwise = ["depthwise 3x3 relu", *PLAIN]
    assert path_of(summary(depthwise, 28), Training()) == ("plain", "float32")  # which torch computes slowly


def test_rates_are_measured_once_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASSAY_KERNELS", str(tmp_path))
    taken: list[Rates] = []

    def measure() -> Rates:
        taken.append(Rates(100.0, 50.0 + len(taken)))
        return taken[-1]

    monkeypatch.setattr(rates, "measure", measure)
    for expected, damage in ((50, None), (50, None), (51, "{"), (52, '{"float32": 1}'), (53, "[]"), (53, None)):
        rates.rates.cache_clear()  # as another process
        if damage is not None:
            next(tmp_path.glob("rates-*.json")).write_text(damage)
        assert rates.rates() == Rates(100.0, expected)
    assert json.loads(next(tmp_path.glob("rates-*.json")).read_text()) == {"float32": 100.0, "bfloat16": 53.0}
    rates.rates.cache_clear()


@pytest.mark.skipif(not kernels_round(), reason="this processor does not multiply bfloat16")
def test_measured_rates_are_of_this_order() -> None:
    """One thread of a processor with AVX-512: between a quarter of a multiply-add a cycle and four of them."""
    taken = rates.measure()
    assert 5 < taken.float32 < 1000
    assert 5 < taken.bfloat16 < 2000


@pytest.mark.skipif(not has_bfloat16(), reason="this processor does not multiply bfloat16")
def test_the_plain_path_rounds_as_torchs_autocast_does() -> None:
    streams = Streams(3, frozenset())
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (32, 28, 28, 1)).astype(np.uint8)
    classes = rng.integers(0, 10, 32)
    scaling = Scaling(torch.zeros(1), torch.full((1,), 1 / 255))
    layers = parse(PLAIN)
    learners = {
        precision: PlainLearner(
            build(layers, (28, 28, 1), 10, streams), Optimizer(name="sgd"), scaling, precision=precision
        )
        for precision in ("float32", "bfloat16")
    }
    batch = Batch(images, np.arange(32), classes)
    for learner in learners.values():
        learner.train_batch(batch, step=0, learning_rate=0.0)
    reference = build(layers, (28, 28, 1), 10, streams)
    with torch.autocast("cpu", torch.bfloat16):
        logits = reference(scaling.apply(images, np.arange(32)))
    cross_entropy(logits.float(), torch.from_numpy(classes)).backward()
    for name, parameter in reference.named_parameters():
        assert parameter.grad is not None
        gradients = {key: of.parameters.split(of.parameters.gradients)[name] for key, of in learners.items()}
        torch.testing.assert_close(gradients["bfloat16"], parameter.grad, rtol=1e-3, atol=1e-6)
        error = (gradients["bfloat16"] - gradients["float32"]).norm() / gradients["float32"].norm()
        if name.endswith("kernel"):  # the gradients of biases before a normalization are nearly zero
            assert 0 < error < 0.05
    scores = {key: learner.score(images, classes, np.arange(32)) for key, learner in learners.items()}
    assert scores["bfloat16"][0] == pytest.approx(scores["float32"][0], rel=0.01)


def test_kernels_that_cannot_be_compiled_never_fail_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A compiler that refuses: torch's layers train the network, and the run's record says why."""
    from assay.train.fused import compiler
    from assay.train.paths import usable_path

    streams = Streams(3, frozenset())
    assert usable_path(summary(FUSED), Training(precision="float32"), "cpu", streams).name == "fused"

    def refuse(assembly: str) -> bytes:
        raise RuntimeError("LLVM ERROR: Cannot select: intrinsic %llvm.x86.avx512")

    monkeypatch.setenv("ASSAY_KERNELS", str(tmp_path))
    monkeypatch.setattr(compiler, "_code_of", refuse)
    layers = ["conv 7 3x3 relu", "maxpool 2", "flatten", "dense 11 relu", "dense classes softmax"]
    for kernel in _kernels_of(layers):
        monkeypatch.setattr(kernel, "_machine", None)
    path = usable_path(summary(layers), Training(precision="float32"), "cpu", streams)
    assert (path.name, path.precision) == ("plain", "float32")
    assert "LLVM ERROR: Cannot select" in path.fallback
    rates.rates.cache_clear()
    compiler._compiled.cache_clear()
    monkeypatch.setattr("assay.train.rates.kernels_round", lambda: True)
    assert not rates.rounds_faster()
    rates.rates.cache_clear()


def _kernels_of(layers: list[str]) -> list[Kernel]:
    """The kernels of a network, as another network of this process may have compiled them."""
    network = FusedNetwork(summary(layers), precision="float32", max_batch=128, streams=Streams(3, frozenset()))
    return [kernel for kernel, *_ in network._commands(128, "train").calls]
