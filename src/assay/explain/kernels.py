"""The kernels of a convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..nets.build import Network
from .choose import kernel_layer


def kernels_of(network: Network, layer: str | None = None) -> NDArray[np.float32]:
    """A convolution's kernels.

    Args:
        network: It is not changed.
        layer: Name of a convolution; the first one if ``None``.

    Returns:
        float32 [filters, inputs, height, width]. A depthwise convolution has one input a filter, and so has a separable
        one, of which these are the depthwise kernels.

    Raises:
        SpecError: The layer has no kernels of this kind, or the network has none.
    """
    module: Any = network.get_submodule(kernel_layer(network.summary, layer))
    named = next(name for name in ("depthwise_kernel", "kernel", "weight") if hasattr(module, name))
    kernel = getattr(module, named)  # "weight" in a module of one's own
    values: NDArray[np.float32] = kernel.detach().numpy().copy()
    return values
