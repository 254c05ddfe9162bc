"""A trained network's kernels and biases in float, batch normalization and scaling included."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...nets import layers as words
from ...nets.fixed_point import SCALING, Convolve
from ..portable import Portable

Floats = NDArray[np.float64]


def kernel_and_bias(network: Portable, operation: Convolve) -> tuple[Floats, Floats]:
    """A convolution's kernel [outputs, height, width, inputs of one output] and bias [outputs]."""
    shape = operation.kernel_shape
    if operation.weights:
        weights = network.of_layer(operation.layer)
        kernel = weights[operation.weights].astype(np.float64)
        kernel = kernel.transpose(0, 2, 3, 1) if kernel.ndim == 4 else kernel.reshape(shape)
        is_first_half = operation.weights == "depthwise_kernel"  # the bias is behind the second
        bias = np.zeros(shape[0]) if is_first_half else weights.get("bias", np.zeros(shape[0])).astype(np.float64)
    elif operation.name == SCALING:
        offset, factor = scaling_of(network)
        kernel, bias = factor.reshape(shape), -offset * factor
    else:
        kernel, bias = np.ones(shape), np.zeros(shape[0])
    for name in operation.norms:
        norm = {key: value.astype(np.float64) for key, value in network.of_layer(name).items()}
        factor = _factor(network, name)
        kernel = kernel * factor[:, None, None, None]
        bias = (bias - norm["moving_mean"]) * factor + norm["beta"]
    return kernel, bias


def norm_factors(network: Portable, operation: Convolve) -> Floats:
    """What the batch normalizations behind a convolution multiply its outputs by [outputs]."""
    factors = np.ones(operation.outputs[2])
    for name in operation.norms:
        factors = factors * _factor(network, name)
    return factors


def _factor(network: Portable, name: str) -> Floats:
    (layer,) = (row.layer for row in network.summary.layers if row.name == name)
    assert isinstance(layer, words.BatchNorm)
    norm = {key: value.astype(np.float64) for key, value in network.of_layer(name).items()}
    factor: Floats = norm["gamma"] / np.sqrt(norm["moving_variance"] + layer.epsilon)
    return factor


def scaling_of(network: Portable) -> tuple[Floats, Floats]:
    """What a byte becomes: (byte - offset) * factor, by channel. Finer images are bytes of 1/255."""
    offset, factor = network.offset.astype(np.float64), network.factor.astype(np.float64)
    return (offset, factor) if network.dtype == "uint8" else (offset * 255, factor / 255)


def is_shifted(network: Portable) -> bool:
    """Whether scaling is more than one factor."""
    return bool(network.offset.any() or (network.factor != network.factor[0]).any())
