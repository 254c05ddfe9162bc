"""Inputs of a report besides the study's record: plain values, so that a report needs no network and no data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class LayerRow:
    """One layer of a network.

    Args:
        name: The layer's name, such as ``conv2d_1``.
        word: The line of the study file that it came from, such as ``conv 32 3x3 relu``.
        output_shape: Its output's shape for one image, such as ``26 x 26 x 32``.
        parameters: How many parameters it holds, trainable or not.
        flops: Floating-point operations for one image, forward.
        non_trainable: Those of the parameters that training does not change.
        activation_bytes: Bytes of its output for one image, in float32.
        receptive_field: Height and width of one output value's receptive field, in pixels of the input.
        receptive_stride: Pixels from one position's receptive field to the next one's; ``None`` for a vector.
        inputs: Names of the layers that it reads; an empty name is the network's input.
        path: The blocks around it, outermost first.
    """

    name: str
    word: str
    output_shape: str
    parameters: int
    flops: int
    non_trainable: int = 0
    activation_bytes: int = 0
    receptive_field: tuple[int, int] = (1, 1)
    receptive_stride: tuple[int, int] | None = None
    inputs: tuple[str, ...] = ()
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProgramCosts:
    """What the fixed-point program of a network costs.

    Args:
        bytes: Constants as stored, with weights of 8 bits.
        ram: Bytes of its arena.
        multiply_adds: Of one image.
        microseconds: By core, estimated, of one image.
    """

    bytes: int
    ram: int
    multiply_adds: int
    microseconds: tuple[tuple[str, float], ...]

    def text(self) -> str:
        """As a sentence."""
        return f"As C: {self.bytes:,} bytes, {self.ram:,} bytes of RAM, {self.multiply_adds:,} multiply-adds an image."


@dataclass(frozen=True)
class NetworkTable:
    """A network's layers, top to bottom, and their totals.

    Args:
        program: Costs of the fixed-point program that C export writes of it; ``None`` where it has no such form.
        no_program: Why it has none.
        members: So many networks of these layers answer together; the totals are of all of them.
    """

    rows: tuple[LayerRow, ...]
    parameters: int
    trainable: int
    non_trainable: int
    flops: int
    activation_bytes: int = 0
    program: ProgramCosts | None = None
    no_program: str = ""
    members: int = 1


@dataclass(frozen=True)
class SuspectPicture:
    """A training image that looks like another class, beside the image that it looks like most.

    Args:
        png, neighbour_png: Both, each one PNG image.
        name, neighbour: What they are called.
        label, likely: The classes that their labels name.
    """

    png: bytes
    neighbour_png: bytes
    name: str
    neighbour: str
    label: str
    likely: str


@dataclass(frozen=True)
class DataLook:
    """What a data set's checks say.

    Args:
        sentences: Balance and warnings, a sentence each.
        facts: Pairs of a name and a value.
        pairs: Images that are there twice: what they are, and the two files.
        num_pairs: How many there are in all.
        suspects: The clearest suspicious labels.
        num_suspects: How many there are in all.
        judgement: How these are looked for.
    """

    sentences: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    pairs: tuple[tuple[str, str, str], ...]
    num_pairs: int
    suspects: tuple[SuspectPicture, ...]
    num_suspects: int
    judgement: str


@dataclass(frozen=True)
class Gallery:
    """Example images of the data.

    Args:
        png: One PNG image: one row of examples per class, in the order of ``class_names``, all rows equally high.
        class_names: The classes in label order.
        training_counts: Images of each class in the training split, in the same order.
        validation_size: Images in the validation split.
        caption: A sentence on where the examples come from.
        look: What the data set's checks say.
    """

    png: bytes
    class_names: tuple[str, ...]
    training_counts: tuple[int, ...]
    validation_size: int
    caption: str = ""
    look: DataLook | None = None


@dataclass(frozen=True)
class Illustration:
    """A picture of what the best arm has learned or where it fails.

    Args:
        title: What it shows, in a few words.
        caption: How to read it, in a sentence or two; screen readers hear it in place of the picture.
        image: A PNG file's bytes, or a Plotly figure with a height.
        dark: The same PNG for dark mode; ``None`` shows ``image`` in both modes.
        density: Pixels of the PNG for each of the page, more than 1 for pictures that are sharp on any screen.
        narrow, narrow_dark: The same for a phone; ``None`` shows the others there, too.
    """

    title: str
    caption: str
    image: bytes | go.Figure
    dark: bytes | None = None
    density: float = 1.0
    narrow: bytes | None = None
    narrow_dark: bytes | None = None
