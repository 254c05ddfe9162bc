"""A network as one C header in fixed point, for microcontrollers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .. import disk
from .fixed_point import Program, quantize, source_of
from .own_module import refuse_own
from .portable import Portable


def write_c(network: Portable, path: Path, images: NDArray[Any], title: str, coding: str | None = None) -> Program:
    """Write a C header that classifies images with whole numbers alone.

    Args:
        network: What to write.
        path: The header.
        images: Stored training images [n, height, width, channels], which say how large activations become.
        title: Its first line.
        coding: How kernels are stored, of ``nets.fixed_point.CODINGS``; if ``None`` as they were trained, or in whole
            bytes.

    Returns:
        The program as NumPy computes it: the header gives the same bits.

    Raises:
        SpecError: It stands on a base, or has a layer without a fixed-point form, or more than 100,000 parameters.
        DiskFull: There is no space left.
    """
    refuse_own(network, "no C code is written for it")
    program = quantize(network, images, coding)
    disk.write(path, source_of(program, title).encode())
    return program
