"""Activation functions and their derivatives in kernels against torch's in float64, on a fine grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from assay.nets.activations import ACTIVATIONS
from assay.train.fused.activation_functions import FUNCTIONS
from assay.train.fused.activations import activation, activation_gradient

GRID = np.concatenate([np.linspace(-30, 30, 600_000), np.linspace(-0.01, 0.01, 20_000), [-1e30, -500, -0.0, 500, 1e30]])
VALUES = np.resize(GRID, -(-len(GRID) // 16) * 16).astype(np.float32)


def by_kernels(name: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f and f', at float32 values, a multiple of sixteen."""
    size = len(values) // 16
    values_out, derivatives = np.zeros((2, len(values)), np.float32)
    activation("f", name)(0, 1, values, values_out, 1, 1, 1, size, 1, 1, 0, 0)
    activation_gradient("f", name)(0, 1, values, np.ones_like(values), derivatives, 1, size)
    return values_out, derivatives


def by_torch(name: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = torch.from_numpy(values).double().requires_grad_()
    expected = ACTIVATIONS[name](points)
    expected.sum().backward()
    return expected.detach().numpy(), points.grad.numpy()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_derivatives_equal_float64(name: str) -> None:
    """To 3e-7, about five of float32's roundings at 1; relative to the value where that is larger."""
    for result, expected in zip(by_kernels(name, VALUES), by_torch(name, VALUES), strict=True):
        assert (np.abs(result - expected) <= 3e-7 * np.maximum(1, np.abs(expected))).all()
        assert np.ptp(expected) > 0.2


@pytest.mark.parametrize("name", ["elu", "gelu", "silu", "tanh"])
def test_values_near_0_keep_their_digits(name: str) -> None:
    values = np.concatenate([np.geomspace(1e-30, 0.4, 800), -np.geomspace(1e-30, 0.4, 800)]).astype(np.float32)
    (result, _), (expected, _) = by_kernels(name, values), by_torch(name, values)
    assert (np.abs(result - expected) <= 4e-7 * np.abs(expected)).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_stays_nan(name: str) -> None:
    result, _ = by_kernels(name, np.full(16, np.nan, np.float32))
    assert np.isnan(result).all()


def test_every_activation_of_the_vocabulary_has_a_function() -> None:
    assert set(FUNCTIONS) == set(ACTIVATIONS) - {"linear", "softmax"}
