"""A network as a LiteRT file: the operations of its fixed-point program, with float32 weights or in 8 bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ... import disk
from ...errors import Problem, SpecError
from ...nets.fixed_point import Graph, lower
from ..fixed_point import Program, quantize
from ..fixed_point.folded import is_shifted
from ..own_module import refuse_own
from ..portable import Portable
from .operators import Writer


def write_litert(network: Portable, path: Path) -> None:
    """Write a ``.tflite`` file. Input ``images`` [batch, height, width, channels] as stored, output ``probabilities``
    [batch, classes]; class names stand in the metadata as JSON under ``classes``.

    Args:
        network: The network.
        path: The file.

    Raises:
        SpecError: It stands on a base, is a module of one's own, or the flatbuffers package is not installed.
        DiskFull: There is no space left.
    """
    _check(network)
    graph = lower(network.summary, is_shifted=is_shifted(network), most_parameters=None)
    disk.write(path, _content(network, graph, None))


def write_litert_int8(network: Portable, path: Path, images: NDArray[Any]) -> Program:
    """Write a ``.tflite`` file whose weights and activations are 8-bit numbers, those of the C header.

    Input, output and metadata are as in ``write_litert``. The mean and variance of an image's own normalization, sums
    of more than two values and the softmax stay in float32.

    Args:
        network: What to quantize.
        path: The file.
        images: Stored training images [n, height, width, channels], which say how large activations become.

    Returns:
        The program whose numbers it has.

    Raises:
        SpecError: As ``write_litert``.
        DiskFull: There is no space left.
    """
    _check(network)
    program = quantize(network, images, most_parameters=None)
    if any(value.bits not in (8, 16) for value in program.graph.values):
        what = "it was trained with activations of fewer than 8 bits, which LiteRT does not have"
        raise SpecError(Problem(what, "export it as c, or as litert"))
    disk.write(path, _content(network, program.graph, program))
    return program


def _check(network: Portable) -> None:
    refuse_own(network, "no LiteRT file is written for it")
    if network.summary.base is not None:
        what = (
            f"it stands on {network.summary.base.title}, and LiteRT files hold no code that prepares images for a base"
        )
        raise SpecError(Problem(what, "export it as onnx or keras, or a run without a base as litert"))


def _content(network: Portable, graph: Graph, program: Program | None) -> bytes:
    writer = Writer(network, graph, program)
    images, probabilities = writer.write()
    about = {"classes": json.dumps(network.classes), "layers": json.dumps(network.lines)}
    return writer.graph.content(images, probabilities, about)
