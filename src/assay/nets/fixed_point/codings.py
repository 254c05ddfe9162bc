"""How weights are stored: as whole bytes, or several in one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import Problem, SpecError

Ints = NDArray[np.int8]


@dataclass(frozen=True)
class Coding:
    """A form of storage. A weight's code ``k`` stands for the whole number ``first + step * k``.

    Codes fill bytes from the first weight to the last, channel after channel, without gaps; the first of a byte is its
    lowest digit in base ``base``.

    Args:
        name: As it is asked for.
        base: Number of codes.
        per_byte: Weights in one byte: ``base ** per_byte <= 256``.
        first, step: What codes stand for.
        bit_length: Mean bits of a weight's absolute value, for cores that multiply bit by bit.
    """

    name: str
    base: int
    per_byte: int
    first: int
    step: int
    bit_length: float

    @property
    def is_packed(self) -> bool:
        """Whether a byte holds more than one weight."""
        return self.per_byte > 1

    @property
    def largest(self) -> int:
        """The largest absolute value that has a code for either sign."""
        return min(-self.first, self.first + self.step * (self.base - 1))

    def num_bytes(self, count: int) -> int:
        """Bytes of as many weights."""
        return -(-count // self.per_byte)

    def pack(self, values: Ints) -> NDArray[np.uint8]:
        """Weights, in any shape, as bytes.

        Raises:
            ValueError: A value has no code.
        """
        flat = values.reshape(-1).astype(np.int64)
        codes = (flat - self.first) // self.step
        if (codes * self.step + self.first != flat).any() or (codes < 0).any() or (codes >= self.base).any():
            raise ValueError(f"a weight has no code in {self.name}")
        if not self.is_packed:
            return flat.astype(np.int8).view(np.uint8)
        padded = np.zeros(self.num_bytes(len(codes)) * self.per_byte, np.int64)
        padded[: len(codes)] = codes
        digits = self.base ** np.arange(self.per_byte)
        return (padded.reshape(-1, self.per_byte) @ digits).astype(np.uint8)

    def unpack(self, packed: NDArray[np.uint8], count: int) -> Ints:
        """The first ``count`` weights of what ``pack`` wrote."""
        if not self.is_packed:
            return packed.view(np.int8)[:count]
        digits = self.base ** np.arange(self.per_byte)
        codes = packed.astype(np.int64)[:, None] // digits % self.base
        return (codes.reshape(-1)[:count] * self.step + self.first).astype(np.int8)


CODINGS: Mapping[str, Coding] = {
    "int8": Coding("int8", 256, 1, -128, 1, 5.6),
    "int4": Coding("int4", 16, 2, -8, 1, 2.1),
    "int2": Coding("int2", 4, 4, -3, 2, 1.5),  # -3, -1, 1, 3: four levels, as many of either sign
    "ternary": Coding("ternary", 3, 5, -1, 1, 0.6),  # 1.6 bits a weight
}


def coding_for(bits: int | str) -> Coding:
    """The coding of weights that were trained for so many bits, or ``ternary``."""
    return CODINGS[bits if isinstance(bits, str) else f"int{bits}"]


def coding_of(name: str) -> Coding:
    """A coding by name.

    Raises:
        SpecError: It is not known; the sentence lists those that are.
    """
    if name not in CODINGS:
        fix = f"known codings: {', '.join(CODINGS)}"
        raise SpecError(Problem(f'weights cannot be stored as "{name}"', fix))
    return CODINGS[name]
