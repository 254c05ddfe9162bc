"""The architecture of a pretrained network, as layer words by block, before it is cut or given weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Layout = Literal["keras", "torch"]
Pixels = Literal["caffe", "torch", "tf", "unit", "none"]
Lines = Sequence[Any]


@dataclass(frozen=True)
class Definition:
    """A network that is known by name, in the layouts in which its weights are published.

    Args:
        name: As study files write it.
        title: As people write it.
        source: Where it was published first.
        blocks: For a layout, the layer lines of each block, first to last. Layouts can differ in padding and constants.
        keys: For each layout, what its files call the layers with weights, in the order in which they are computed.
        pixels: For each layout, the preprocessing that its ImageNet weights were trained with.
    """

    name: str
    title: str
    source: str
    blocks: Callable[[Layout], Mapping[str, Lines]]
    keys: Mapping[Layout, Callable[[], Sequence[str]]]
    pixels: Mapping[Layout, Pixels]

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The layouts that there are, the usual one first."""
        return tuple(self.keys)
