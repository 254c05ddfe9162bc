"""Matrix products of whole tiles, where the processor has them: Intel's AMX.

A *tile* is a register of up to 16 rows of 64 bytes. One instruction multiplies two tiles of bfloat16 and adds the
product to a tile of float32: ``C[m, n] += sum over k of A[m, k] * B[k, n]``, with m and n below 16 and k below 32. That
is 16 times as many products a cycle as a vector instruction of float32 makes.

The layouts of ``buffers`` are what it wants. A row of B holds pairs of neighbouring k: a vector of a pair of channels,
with an image in each lane, is one. So B is 16 neighbouring vectors of activations as they lie, A is 16 outputs of the
weights, and a row of C is one output of sixteen images: a vector in float32.

Kernels call ``tile_configure``, ``tile_zero``, ``tile_load``, ``tile_dot``, ``tile_store`` and ``tile_release``. Where
there is no AMX, tests let kernels call the same operations written in loops (``emulation``), which say what each one
does. Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBF16PS.
"""

from __future__ import annotations

import ctypes
import math
import platform
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, cast

import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from .instructions import BYTE, LONG, VOID, Operation
from .target import target
from .vectors import OPERATIONS

ROWS = 16  # of a tile: sums, outputs, or pairs of channels
WORDS = 16  # of a row: 64 bytes
TILE = ROWS * WORDS
FACTORS, PIXELS = (4, 5), (6, 7)  # the registers that hold A and B; C lies in those from 0 to 3
_REGISTERS = 8
SCRATCH = _REGISTERS * TILE + 2 * _REGISTERS  # words that a kernel sets aside for ``emulation``

_GET_PERMISSION, _TILE_DATA = 0x1023, 18  # arch_prctl's ARCH_REQ_XCOMP_PERM, and what it asks for
_ARCH_PRCTL = 158

How = Literal["amx", "emulated"]


@cache
def how() -> How | None:
    """Whether kernels of this process multiply tiles: "amx" where the processor does and the system lets them.

    "emulated" is for tests, which replace this function.
    """
    return "amx" if target().has("amx-bf16") and target().has("amx-tile") and _is_permitted() else None


def _is_permitted() -> bool:
    """Ask Linux for the registers, which it saves only for processes that have asked. Other systems are not tried."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    return ctypes.CDLL(None).syscall(_ARCH_PRCTL, _GET_PERMISSION, _TILE_DATA) == 0  # type: ignore[no-any-return]


def configuration(outputs: int, depth: int) -> NDArray[np.int64]:
    """The 64 bytes that give the registers their shapes.

    Args:
        outputs: Rows of C and A, up to 16.
        depth: Pairs that a product sums, up to 16: words of a row of A, rows of B.
    """
    shape = np.zeros(64, np.uint8)
    shape[0] = 1  # the only kind of configuration that there is
    row_bytes, rows = shape[16:32].view(np.uint16), shape[48:56]
    row_bytes[:], rows[:] = 4 * WORDS, outputs
    row_bytes[list(FACTORS)], rows[list(PIXELS)] = 4 * depth, depth
    return shape.view(np.int64)


def blocking(all_pixels: int, all_factors: int) -> tuple[int, int]:
    """How many B and A are multiplied at once: the least waste, of two sizes only, since each is a kernel to compile.

    Args:
        all_pixels, all_factors: How many there are. The last ones are repeated where they do not fill a block.
    """

    def products_of(size: tuple[int, int]) -> int:
        pixels, factors = size
        return math.ceil(all_pixels / pixels) * pixels * math.ceil(all_factors / factors) * factors

    return min(((2, 2), (3, 1)), key=products_of)


def products(positions: int, outputs: int, *, pixels: Sequence[str], factors: Sequence[str], indent: str) -> str:
    """Source that adds every A times every B to the sums: register ``p * outputs + q`` holds position p and output q.

    Args:
        positions, outputs: How many B and A there are: ``positions * outputs`` is at most 4, ``outputs`` at most 2.
        pixels, factors: Arguments of ``tile_load`` behind the register: array, index and words between rows.
        indent: Of each line.
    """
    text = "".join(f"{indent}tile_load(tiles, {FACTORS[q]}, {factors[q]})\n" for q in range(outputs))
    for p in range(positions):
        register = PIXELS[p % 2]
        text += f"{indent}tile_load(tiles, {register}, {pixels[p]})\n"
        for q in range(outputs):
            text += f"{indent}tile_dot(tiles, {p * outputs + q}, {FACTORS[q]}, {register})\n"
    return text


def zeros(count: int, indent: str) -> str:
    """Source that clears the first sums."""
    return "".join(f"{indent}tile_zero(tiles, {n})\n" for n in range(count))


def operations(how: How) -> dict[str, Any]:
    """What a kernel's source calls, for ``compiler.compiled``."""
    return dict(_OPERATIONS if how == "amx" else emulation)


def _call(builder: Any, name: str, kinds: Sequence[ir.Type], values: Sequence[ir.Value]) -> ir.Value:
    module = builder.module
    declared = module.globals.get(name)
    return builder.call(declared or ir.Function(module, ir.FunctionType(VOID, kinds), name), values)


def _register(value: ir.Value) -> ir.Constant:
    return ir.Constant(BYTE, value.constant)


def _place(builder: Any, array: ir.Value, index: ir.Value, row_words: ir.Value) -> list[ir.Value]:
    address = builder.bitcast(builder.gep(array, [index]), BYTE.as_pointer())
    return [address, builder.mul(row_words, ir.Constant(LONG, 4))]


def _emit_configure(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    address = builder.bitcast(values[1], BYTE.as_pointer())
    return _call(builder, "llvm.x86.ldtilecfg", [BYTE.as_pointer()], [address])


def _emit_zero(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return _call(builder, "llvm.x86.tilezero", [BYTE], [_register(values[1])])


def _emit_load(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    kinds = [BYTE, BYTE.as_pointer(), LONG]
    place = _place(builder, *values[2:])
    return _call(builder, "llvm.x86.tileloadd64", kinds, [_register(values[1]), *place])


def _emit_store(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    kinds = [BYTE, BYTE.as_pointer(), LONG]
    place = _place(builder, *values[2:])
    return _call(builder, "llvm.x86.tilestored64", kinds, [_register(values[1]), *place])


def _emit_dot(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return _call(builder, "llvm.x86.tdpbf16ps", [BYTE] * 3, [_register(value) for value in values[1:]])


def _emit_release(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    return _call(builder, "llvm.x86.tilerelease", [], [])


# The first argument of each is the kernel's scratch memory, which only ``emulation`` uses.
_OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("tile_configure", (None, None), _emit_configure),
        Operation("tile_zero", (None, LONG), _emit_zero),
        Operation("tile_load", (None, LONG, None, LONG, LONG), _emit_load),
        Operation("tile_store", (None, LONG, None, LONG, LONG), _emit_store),
        Operation("tile_dot", (None, LONG, LONG, LONG), _emit_dot),
        Operation("tile_release", (None,), _emit_release),
    )
}


def _configure(tiles: Any, config: Any) -> None:
    for number in range(8):
        tiles[2048 + 2 * number] = (config[6] >> (8 * number)) & 0xFF
        tiles[2049 + 2 * number] = ((config[2 + number // 4] >> (16 * (number % 4))) & 0xFFFF) // 4


def _zero(tiles: Any, number: int) -> None:
    for word in range(256):
        tiles[number * 256 + word] = 0


def _load(tiles: Any, number: int, array: Any, index: int, row_words: int) -> None:
    words = array.view(np.uint32)
    for row in range(tiles[2048 + 2 * number]):
        for column in range(tiles[2049 + 2 * number]):
            tiles[number * 256 + row * 16 + column] = words[index + row * row_words + column]


def _store(tiles: Any, number: int, array: Any, index: int, row_words: int) -> None:
    words = array.view(np.uint32)
    for row in range(tiles[2048 + 2 * number]):
        for column in range(tiles[2049 + 2 * number]):
            words[index + row * row_words + column] = tiles[number * 256 + row * 16 + column]


# As kernel source calls them; Python does not run it.
add, broadcast_i, fma, high, load_f, load_i, low, splat, store_f = (
    cast(Any, OPERATIONS[name])
    for name in ("add", "broadcast_i", "fma", "high", "load_f", "load_i", "low", "splat", "store_f")
)


def _dot(tiles: Any, sums: int, factors: int, pixels: int) -> None:
    for row in range(tiles[2048 + 2 * sums]):
        first, second = splat(np.float32(0)), splat(np.float32(0))
        for pair in range(tiles[2048 + 2 * pixels]):
            weights = broadcast_i(tiles, factors * 256 + row * 16 + pair)
            values = load_i(tiles, pixels * 256 + pair * 16)
            first = fma(low(weights), low(values), first)
            second = fma(high(weights), high(values), second)
        place = sums * 256 + row * 16
        store_f(tiles, place, add(load_f(tiles, place), add(first, second)))


def _release(tiles: Any) -> None:
    tiles[0] = 0


# The same in loops, written out where a kernel calls them. Unlike the processor, they keep subnormal numbers.
emulation = {
    "tile_configure": _configure, "tile_zero": _zero, "tile_load": _load, "tile_store": _store, "tile_dot": _dot,
    "tile_release": _release,
}  # fmt: skip
