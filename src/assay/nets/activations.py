"""Activations by name, with Keras's constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

# A softmax at the end belongs to the loss, which is steadier on logits.
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "relu6": F.relu6,
    "leakyrelu": lambda values: F.leaky_relu(values, 0.2),  # keras.activations.leaky_relu, not the layer's 0.3
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softmax": lambda logits: logits,
    "linear": lambda values: values,
}


def activated(values: Tensor, name: str) -> Tensor:
    """The activation of values that nobody else reads: they may be overwritten."""
    return torch.relu_(values) if name == "relu" else ACTIVATIONS[name](values)
