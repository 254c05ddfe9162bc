"""Muon: against Keras on dense kernels, its orthogonal updates against the singular values, and who takes part."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import pytest
import torch

from assay import spec
from assay.convert.optimizers import optimizer_of
from assay.errors import SpecError
from assay.nets import parse
from assay.nets.build import build
from assay.seeds import Streams
from assay.train.fused.network import FusedNetwork
from assay.train.fused.optimizers import fused_optimizer_for
from assay.train.groups import Group, Grouped
from assay.train.muon import Matrix, Muon, matrices_in, matrices_of, muon_for, orthogonal
from assay.train.optimizers import optimizer_for
from assay.train.parameters import FlatParameters

WORDS = ["conv 6 3x3 relu", "depthwise 3x3 relu", "batchnorm", "separable 5 3x3", "conv 4 2x2 fixed=true", "flatten",
         "dense 7 relu", "dense classes softmax"]  # fmt: skip
UPDATED = {"conv1.kernel", "separable1.pointwise_kernel", "dense1.kernel"}
FACTORIES = {"torch": optimizer_for, "fused": fused_optimizer_for}


def random(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (6, 6)])
def test_twenty_steps_equal_keras_on_dense_kernels_and_biases(
    shape: tuple[int, int], nesterov: bool, factory: str
) -> None:
    rows, columns = shape
    start, gradients = random(rows * columns + columns), random(20, rows * columns + columns, seed=2)
    theirs = [
        keras.Variable(part.clone()) for part in (start[: rows * columns].reshape(shape), start[rows * columns :])
    ]
    optimizer = keras.optimizers.Muon(
        0.02, momentum=0.9, nesterov=nesterov, weight_decay=0.1, adam_weight_decay=None, adam_lr_ratio=0.5,
        rms_rate=None, ns_steps=4,
    )  # fmt: skip
    optimizer.build(theirs)
    settings = spec.Optimizer.of(
        {"name": "muon", "momentum": 0.9, "nesterov": nesterov, "weight_decay": 0.1, "adam_ratio": 0.5, "iterations": 4}
    )
    values = start.clone()
    ours = Muon(settings, values, [Matrix(slice(0, rows * columns), rows, columns, columns)], FACTORIES[factory])
    for step, gradient in enumerate(gradients, start=1):
        optimizer.apply([gradient[: rows * columns].reshape(shape), gradient[rows * columns :]], theirs)
        ours.step(gradient.clone(), 0.02, step)
    expected = torch.cat([variable.value.detach().flatten() for variable in theirs])
    assert not torch.allclose(values, start, atol=0.1)
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(40, 9), (9, 40), (20, 20)])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_an_update_has_the_directions_of_the_momentum_and_singular_values_near_1(
    shape: tuple[int, int], scale: float
) -> None:
    matrix = random(*shape) * scale
    left, singular, right = torch.linalg.svd(matrix, full_matrices=False)
    matrix = left @ (singular.clamp(min=0.2 * float(singular.max())).diag()) @ right
    update = orthogonal(matrix, 5)
    assert update.shape == shape
    # The iteration scales each singular value by itself, whatever its vectors.
    inner = left.T @ update @ right.T
    off_diagonal = inner - inner.diag().diag()
    assert off_diagonal.abs().max() < 1e-3
    assert inner.diag().min() > 0.6
    assert inner.diag().max() < 1.3


def test_a_zero_gradient_changes_nothing() -> None:
    values = random(12)
    before = values.clone()
    Muon(spec.Optimizer(name="muon"), values, [Matrix(slice(0, 12), 3, 4, 4)], optimizer_for).step(
        torch.zeros(12), 0.02, 1
    )
    assert torch.equal(values, before)


def test_normalized_kernels_have_the_norm_of_their_outputs_before_a_step() -> None:
    settings = spec.Optimizer(name="muon", normalize=True)
    values = 5 * random(24)
    Muon(settings, values, [Matrix(slice(0, 24), 6, 4, 4)], optimizer_for).step(random(24, seed=2), 1e-9, 1)
    assert float(values.norm()) == pytest.approx(2.0, rel=1e-5)


def test_kernels_but_the_last_are_matrices_with_a_column_or_a_row_for_each_output() -> None:
    network = build(parse(WORDS), (12, 11, 3), 5, Streams(0))
    flat = FlatParameters(network)
    names = {part.start: name for name, part in flat.named_slices().items()}
    matrices = flat.matrices(network.summary)
    assert {names[matrix.part.start] for matrix in matrices} == UPDATED
    assert [(m.rows, m.columns) for m in matrices] == [(6, 27), (5, 6), (7, 80)]
    fused = FusedNetwork(network.summary, precision="float32", max_batch=16, streams=Streams(0))
    own = matrices_of(network.summary, fused.named_parts(), has_outputs_first=False)
    assert [(m.rows, m.columns) for m in own] == [(27, 6), (6, 5), (80, 7)]


def test_of_a_module_of_one_s_own_whatever_has_two_axes_is_a_kernel_but_the_last() -> None:
    shapes = {"a": (4, 3, 2, 2), "b": (4,), "c": (5, 6), "d": (7, 5)}
    slices = {"a": slice(0, 48), "b": slice(48, 52), "c": slice(52, 82), "d": slice(82, 117)}
    matrices = matrices_in({name: torch.Size(shape) for name, shape in shapes.items()}, slices)
    assert matrices == (Matrix(slices["a"], 4, 12, 4), Matrix(slices["c"], 5, 6, 5))


def test_a_matrix_lies_in_its_part_of_the_vector_as_its_kernel_does() -> None:
    network = build(parse(WORDS), (12, 11, 3), 5, Streams(0))
    flat = FlatParameters(network)
    first = flat.matrices(network.summary)[0]
    rows = flat.values[first.part].reshape(first.rows, first.columns)
    for row, filter_ in zip(rows, network.get_parameter("conv1.kernel"), strict=True):
        assert torch.equal(row.sort().values, filter_.flatten().sort().values)


def test_a_group_updates_its_kernels_and_keeps_its_state_where_the_whole_has_it() -> None:
    settings = spec.Optimizer(name="muon")
    matrices = [Matrix(slice(0, 12), 3, 4, 4), Matrix(slice(16, 36), 5, 4, 4)]
    make = muon_for(matrices, optimizer_for)
    start, gradients = random(40), random(6, 40, seed=2)
    one, other = start.clone(), start.clone()
    whole = make(settings, one, slice(0, 40))
    grouped = Grouped(make, settings, other, [Group(slice(0, 14), 1.0, 1), Group(slice(14, 40), 1.0, 1)])
    for step, gradient in enumerate(gradients, start=1):
        whole.step(gradient, 0.1, step)
        grouped.step(gradient, 0.1, step)
    torch.testing.assert_close(other, one)
    assert grouped.state.keys() == whole.state.keys()
    for name, slot in grouped.state.items():
        torch.testing.assert_close(slot, whole.state[name])
        assert slot.any()


def test_keras_s_muon_is_not_taken_for_ours() -> None:
    config = {"name": "muon", "learning_rate": 0.003, "momentum": 0.95, "rms_rate": 0.2, "exclude_layers": []}
    settings, notes = optimizer_of("Muon", config, 0.003, "cell 1")
    assert settings == {"optimizer": {"name": "adamw", "learning_rate": 0.003}}
    assert len(notes) == 1
    assert "the optimizer Muon takes dense kernels alone" in notes[0]
    assert "adamw with its learning rate is written" in notes[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "muon", "iterations": 0}, "iterations"),
        ({"name": "muon", "adam_ratio": 0}, "adam_ratio"),
        ({"name": "muon", "rho": 0.9}, "muon has no rho"),
        ({"name": "sgd", "iterations": 3}, "sgd has no iterations"),
    ],
)
def test_settings_that_are_none_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        spec.Optimizer.of(settings)
    assert len(caught.value.problems) == 1
