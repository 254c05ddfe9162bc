"""What is known of a module of one's own besides its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...spec import OwnCall
from ..layers.record import Layer, Role

ROOT = "module"  # the name of the row for what the module computes itself, outside its submodules


@dataclass(frozen=True)
class OwnLayer(Layer):
    """A submodule of the user's module, as torch prints it."""

    word = "module"

    text: str
    role: Role = "form"  # type: ignore[misc]


@dataclass(frozen=True)
class OwnModule:
    """A module of one's own, as it was tried on a few random images.

    Args:
        call: The class, its arguments and its code.
        output: Whether it puts out logits, or probabilities (then their logarithm is trained on).
        is_channels_last: Whether it computes in channels-last memory; some code reads memory in torch's usual order.
        can_round: Whether it computes in bfloat16 (autocast), with scores near those in float32.
    """

    call: OwnCall
    output: Literal["logits", "probabilities"]
    is_channels_last: bool
    can_round: bool
