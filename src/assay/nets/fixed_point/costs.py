"""What a fixed-point program costs: bytes, memory, multiply-adds, and instructions of a core.

The loops of each C function are counted: how often it puts out a value, begins a row, multiplies. A core's table says
how many instructions each of these takes, and their sum is the estimate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ..effects import Image, Window
from .arena import plan
from .cores import CORES, Core
from .operations import Add, Concatenate, Convolve, Graph, Map, Normalize, Operation, Pad, Pool

_TABLE = 256  # bytes of an activation's table, elu's at most
_TABLES = ("elu", "gelu", "silu", "sigmoid", "tanh")
_SHARED = ("elu", "sigmoid", "tanh")  # one table for all layers


@dataclass(frozen=True)
class Costs:
    """A program's costs.

    Args:
        bytes: Constants as stored: kernels, biases, factors, tables. Of elu's table the most that it may have.
        ram: The arena, in which the image has its place: all memory but a stack of some hundred bytes.
        multiply_adds: Of one image.
        instructions: By core, of one image.
        microseconds: By core, of one image: instructions, its cycles for each and its clock.
    """

    bytes: int
    ram: int
    multiply_adds: int
    instructions: dict[str, float]
    microseconds: dict[str, float]


def costs_of(graph: Graph, *, bit_lengths: dict[str, float] | None = None) -> Costs:
    """The costs of a program.

    Args:
        graph: Its operations.
        bit_lengths: Mean bits of the absolute weights of a convolution by its name, where they are known: the time of
            cores that multiply bit by bit depends on them.
    """
    work = work_of(graph, bit_lengths or {})
    instructions = {
        name: sum(count * core.instructions.get(what, 0.0) for what, count in work.items())
        for name, core in CORES.items()
    }
    times = {name: microseconds(CORES[name], count) for name, count in instructions.items()}
    return Costs(_num_bytes(graph), plan(graph).size, graph.multiply_adds, instructions, times)


def microseconds(core: Core, instructions: float) -> float:
    """The time of as many instructions."""
    return instructions * core.cycles / core.megahertz


def _num_bytes(graph: Graph) -> int:
    total, shared = 0, set()
    for one in graph.operations:
        match one:
            case Convolve():
                total += one.coding.num_bytes(math.prod(one.kernel_shape)) + (4 if one.has_bias else 2) * one.outputs[2]
            case Map() if one.activation in _TABLES:
                total += 0 if one.activation in shared else _TABLE
                shared |= {one.activation} & set(_SHARED)
            case Map(activation="leakyrelu"):
                total += 2
            case Map(activation="prelu"):
                total += 2 * one.slopes
            case Normalize():
                total += 4 * one.outputs[2]
    return total


def work_of(graph: Graph, bit_lengths: dict[str, float]) -> Counter[str]:
    """How often each part of each C function runs for one image."""
    work: Counter[str] = Counter()
    for operation in graph.operations:
        work["call"] += 1
        for what, count in _work(operation, bit_lengths):
            work[what] += count  # type: ignore[assignment]
    return work


def _work(one: Operation, bit_lengths: dict[str, float]) -> Iterator[tuple[str, float]]:
    outputs = math.prod(one.outputs)
    match one:
        case Convolve():
            form, inputs = one.form, one.kernel_shape[3]
            rows, columns = _seen(one.window, one.inputs, one.outputs)
            num_rows = rows * one.outputs[1] * one.outputs[2]  # rows of taps that lie in the image, of all outputs
            taps = rows * columns * one.outputs[2]
            yield f"{form}.output", outputs
            yield f"{form}.channel", one.outputs[2]
            if form in ("conv", "depthwise"):
                yield f"{form}.row", num_rows
            if form == "grouped":
                yield "grouped.tap", taps
            yield f"{form}.multiply", taps * inputs
            yield "bit", taps * inputs * bit_lengths.get(one.name, one.coding.bit_length)
            if one.coding.is_packed:
                yield f"unpack.{one.coding.name}", math.prod(one.kernel_shape)
        case Pool():
            rows, columns = _seen(one.window, one.inputs, one.outputs)
            name = "mean" if one.is_mean else "maximum"
            yield f"{name}.window", one.outputs[0] * one.outputs[1]
            yield f"{name}.output", outputs
            yield f"{name}.row", rows * one.outputs[1] * one.outputs[2]
            yield f"{name}.tap", rows * columns * one.outputs[2]
        case Map():
            kind = {"elu": "elu", "prelu": "slope", "leakyrelu": "slope", "relu": "cut", "relu6": "cut"}
            yield kind.get(one.activation, "table"), outputs
        case Add():
            yield "add.value", outputs
            yield "add.term", outputs * len(one.sources)
        case Concatenate():
            yield "concatenate", outputs
        case Pad():
            yield "pad.value", outputs
            yield "pad.copy", math.prod(one.inputs)
        case Normalize():
            yield "normalize.set", one.sets
            yield "normalize.run", 2 * outputs / (one.outputs[2] // one.groups)
            yield "normalize.value", outputs


def _seen(window: Window, inputs: Image, outputs: Image) -> tuple[int, int]:
    """Taps that lie in the image, summed over the positions of each axis."""
    rows, columns = (
        sum(
            0 <= position * window.stride + tap * window.dilation - window.padding(inputs[axis], axis)[0] < inputs[axis]
            for position in range(outputs[axis])
            for tap in range(window.size[axis])
        )
        for axis in (0, 1)
    )
    return rows, columns
