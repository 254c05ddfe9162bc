"""Networks that were trained in whole numbers: the codes and scales of training, as a program takes them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from ...nets.fixed_point import Convolve, Graph, roundings_of, scales_of
from ...nets.quantizer import exponents, kernel_codes
from ..portable import Portable
from .folded import Floats, norm_factors

RANGES = "scales.ranges"


def codes_of(network: Portable, operation: Convolve) -> tuple[NDArray[np.int8], Floats]:
    """A kernel's whole numbers [outputs, height, width, inputs of one output] and scales [outputs] as they were
    trained.

    Batch normalization behind it multiplies the scales; a factor below zero turns the signs of the whole numbers.
    """
    quantization = network.summary.quantization
    assert quantization is not None
    kernel = torch.from_numpy(network.of_layer(operation.layer)[operation.weights])
    codes, scales = kernel_codes(kernel, operation.coding, powers_of_two=quantization.powers_of_two)
    whole = codes.numpy().astype(np.int8)
    whole = whole.transpose(0, 2, 3, 1) if whole.ndim == 4 else whole.reshape(operation.kernel_shape)
    factor = norm_factors(network, operation)
    signs = np.where(factor < 0, -1, 1).astype(np.int8)
    return whole * signs[:, None, None, None], scales.numpy() * np.abs(factor)


def scales_of_values(network: Portable, graph: Graph, image: float) -> Mapping[int, float]:
    """What 1 stands for in each value that was rounded in training, and in those that share the image's scale."""
    powers = exponents(network.weights[RANGES], roundings_of(network.summary))
    known = scales_of(graph)
    return {
        value: float(np.ldexp(1.0, int(powers[known[value]]))) if value in known else image
        for value, about in enumerate(graph.values)
        if about.bits < 16
    }
