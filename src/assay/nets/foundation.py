"""A pretrained base as an arm uses it: its blocks, the preparation of images, and when each block trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .blocks import Node, Parallel, Repeat, Residual
from .effects import Image, shape_text
from .layers import BatchNorm


@dataclass(frozen=True)
class Coding:
    """What a base's input is of bytes 0 to 255: ``(value - offset) * factor`` for each channel, in the base's order.

    Args:
        text: The same in words.
        offset, factor: For each channel the base sees.
        is_reversed: Whether the base sees blue, green, red.
    """

    text: str
    offset: tuple[float, ...]
    factor: tuple[float, ...]
    is_reversed: bool = False


@dataclass(frozen=True)
class Preparation:
    """From a stored image to what a base sees.

    Args:
        stored: Shape of a stored image.
        size: Height and width that it is resized to, bilinearly.
        channels: Channels that the base sees; one is repeated to as many.
        coding: What becomes of the values.
    """

    stored: Image
    size: tuple[int, int]
    channels: int
    coding: Coding

    @property
    def shape(self) -> Image:
        """Height, width and channels of what the base sees."""
        return (*self.size, self.channels)

    @property
    def steps(self) -> tuple[str, ...]:
        """What happens, in words."""
        height, width, channels = self.stored
        steps = [f"{channels} channel repeated to {self.channels}"] if channels < self.channels else []
        steps += [f"resized bilinearly to {shape_text(self.size)}"] if (height, width) != self.size else []
        return (*steps, self.coding.text)


@dataclass(frozen=True)
class Foundation:
    """A base under a head.

    Args:
        title: What to call it.
        blocks: Names and layers of the blocks that are kept.
        first_epochs: For each block, the epoch (from 1) from which on it trains; 0 for never.
        scales: For each block, what the learning rate is multiplied by.
        keeps_statistics: Whether batch normalization in blocks that train uses the statistics it came with.
        preparation: Of its images.
        is_cached: Whether its outputs are computed once and kept, since nothing that comes before them changes.
        copies: How many augmented copies of each training image are kept; 0 for the images themselves.
        weights: Where its weights come from, in words.
        lines: The blocks' layers as a study file writes them, as JSON values.
    """

    title: str
    blocks: tuple[tuple[str, tuple[Node, ...]], ...]
    first_epochs: tuple[int, ...]
    scales: tuple[float, ...]
    keeps_statistics: bool
    preparation: Preparation
    is_cached: bool
    copies: int
    weights: str
    lines: tuple[tuple[str, tuple[Any, ...]], ...] = field(compare=False, repr=False)

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the blocks that never train."""
        return tuple(name for (name, _), first in zip(self.blocks, self.first_epochs, strict=True) if not first)

    def text(self) -> str:
        """How it is used, as sentences."""
        sentences = [f"Base: {self.title} until {self.blocks[-1][0]}, {self.weights}."]
        sentences.append("Images: " + "; ".join(self.preparation.steps) + ".")
        trained = [
            name
            + (f" from epoch {first}" if first > 1 else "")
            + (f" (learning rate x {scale:g})" if scale != 1 else "")
            for (name, _), first, scale in zip(self.blocks, self.first_epochs, self.scales, strict=True)
            if first
        ]
        if trained:
            frozen = f"Frozen: {', '.join(self.frozen)}. " if self.frozen else ""
            sentences.append(f"{frozen}Trained: {', '.join(trained)}.")
            if not any(
                _has_norm(nodes) for (_, nodes), first in zip(self.blocks, self.first_epochs, strict=True) if first
            ):
                return " ".join(sentences)
            kept = "keeps its statistics" if self.keeps_statistics else "goes on averaging its statistics"
            sentences.append(f"Batch normalization in trained blocks {kept}.")
        elif self.copies:
            copies = f"{self.copies} augmented copies of each training image, the same for every seed"
            sentences.append(f"Frozen: it runs once over {copies}, and what it puts out is cached.")
        elif self.is_cached:
            sentences.append("Frozen: it runs once over all images, and what it puts out is cached.")
        else:
            sentences.append(
                "Frozen, and run in every step, since images are augmented anew (copies = N would cache N)."
            )
        return " ".join(sentences)


def _has_norm(nodes: Sequence[Node]) -> bool:
    """Whether batch normalization is among these layers, in blocks too."""
    for node in nodes:
        match node:
            case Residual():
                inner = (*node.layers, *node.shortcut)
            case Parallel():
                inner = tuple(layer for branch in node.branches for layer in branch)
            case Repeat():
                inner = node.layers
            case _:
                inner = ()
        if isinstance(node, BatchNorm) or _has_norm(inner):
            return True
    return False
