"""Arguments of kernels: what they are called, and the 64-bit words that hold them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Parameter:
    """One argument of a kernel: a number, a pointer, or an array.

    Args:
        name: As the kernel's source uses it.
        kind: "int", "real" (a float64), "single" (a float32), or what an array holds: "float" (any 32 bits), "double",
            "long", "word", "byte".
        dimensions: Of an array whose shape the kernel reads; 0 for a bare pointer.
    """

    name: str
    kind: str
    dimensions: int = 0

    @property
    def size(self) -> int:
        """64-bit words that it takes: an array's address and the lengths of its dimensions."""
        return 1 + self.dimensions

    def packed(self, value: Any) -> list[int]:
        """The words that stand for a value. An array must be contiguous and of the kind's item size: not checked."""
        if self.kind == "int":
            return [int(value)]
        if self.kind == "real":
            return [int(np.float64(value).view(np.int64))]
        if self.kind == "single":
            return [int(np.float32(value).view(np.uint32))]
        return [value.ctypes.data, *value.shape[: self.dimensions]]


_PARAMETER = re.compile(r"(\w+)(?:\[(\w*)(?: (\d))?\]|:(real|single))?")


def parameters_of(text: str) -> tuple[Parameter, ...]:
    """Parameters from their declaration, such as ``x[] sums[double] images[byte 4] count rate:real epsilon:single``."""
    parameters = []
    for word in re.findall(r"\w+(?:\[[^]]*\]|:real|:single)?", text):
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise ValueError(word)
        name, kind, dimensions, number = match.groups()
        array = "int" if kind is None else kind or "float"
        parameters.append(Parameter(name, number or array, int(dimensions or 0)))
    return tuple(parameters)
