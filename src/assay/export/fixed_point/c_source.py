"""A program as one C header: constants, the functions that it needs, and the calls."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...nets.fixed_point import IMAGE, Add, Concatenate, Convolve, Map, Normalize, Pad, Pool
from . import c_functions as functions
from .arithmetic import Rescale
from .c_normalize import NORM, NORMALIZE
from .normalization import Normalizer
from .program import Cut, Kernel, Program, Slopes, Table

_PER_LINE = 20

_HEAD = """/* {title}

   {parameters} parameters in {num_bytes} bytes of constants, {multiply_adds} multiply-adds an image. C99, <stdint.h>,
   whole numbers alone, no heap, no library.

       static uint8_t arena[MODEL_ARENA];      {arena} bytes, all the memory besides a small stack
       int16_t logits[MODEL_CLASSES];
       int label = model_classify(image, arena, logits);

   image holds {height} x {width} x {channels} bytes, {values}, row by row, the channels of a pixel side by side;
   scaling is inside. It may lie anywhere, also at arena + MODEL_IMAGE, where nothing is written before it was read for
   the last time. Probabilities are the softmax of logits times MODEL_UNIT. int has 32 bits or more. */

#ifndef ASSAY_MODEL_H
#define ASSAY_MODEL_H

#include <stdint.h>

#define MODEL_HEIGHT {height}
#define MODEL_WIDTH {width}
#define MODEL_CHANNELS {channels}
#define MODEL_CLASSES {classes}
#define MODEL_ARENA {arena_plain}
#define MODEL_IMAGE {image}
#define MODEL_UNIT {unit}

static const char *const model_labels[MODEL_CLASSES] = {{{labels}}};
"""

_CLASSIFY = """
/* The most probable class of an image; logits of all classes. */
static inline int model_classify(const uint8_t *image, uint8_t *arena, int16_t *logits) {{
    int best = 0;
{calls}    for (int k = 1; k < MODEL_CLASSES; k++)
        if (logits[k] > logits[best]) best = k;
    return best;
}}

#endif
"""


def source_of(program: Program, title: str) -> str:
    """The header's text."""
    height, width, channels = program.network.shape
    network, arena = program.network, program.arena
    head = _HEAD.format(
        title=title.replace("*/", "* /"), parameters=f"{network.summary.parameters:,}",
        num_bytes=f"{program.num_bytes:,}", multiply_adds=f"{program.graph.multiply_adds:,}",
        arena=f"{arena.size:,}", arena_plain=arena.size, image=arena.places[IMAGE], height=height, width=width,
        channels=channels, classes=program.graph.num_classes, unit=f"{program.unit:.9g}",
        labels=", ".join(map(_text, network.classes)),
        values="0 to 255" if network.dtype == "uint8" else "0 to 255 for values from 0 to 1, rounded",
    )  # fmt: skip
    writer = _Writer(program)
    for index in range(len(program.graph.operations)):
        writer.write(index)
    if program.graph.last is not None:
        value = program.graph.values[program.graph.last]
        kind = "(int8_t)" if value.is_signed else ""
        is_image = program.graph.last == IMAGE
        at = "image[k]" if is_image else f"arena[{arena.places[program.graph.last]} + k]"
        writer.calls.append(f"    for (int k = 0; k < MODEL_CLASSES; k++) logits[k] = {kind}{at};\n")
    calls = _CLASSIFY.format(calls="".join(writer.calls))
    if not any("image" in call for call in writer.calls):
        calls = calls.replace("    int best = 0;\n", "    int best = 0;\n    (void)image;\n")
    return "".join([head, functions.COMMON, *writer.functions, *writer.constants, calls])


class _Writer:
    """The parts of a header, each function once.

    Args:
        program: What is written.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tables: dict[bytes, str] = {}
        self.functions: dict[str, None] = {}
        self.constants: list[str] = []
        self.calls: list[str] = []

    def write(self, index: int) -> None:
        """The constants of an operation, its function and its call."""
        operation, constants = self._program.graph.operations[index], self._program.constants[index]
        name = f"model_{operation.name}"
        match operation:
            case Convolve():
                assert isinstance(constants, Kernel)
                self._convolve(operation, constants, name, self._program.arena.scratch[index])
            case Pool():
                self._pool(operation, constants, name)
            case Map():
                self._map(operation, constants, name)
            case Add() | Concatenate():
                assert isinstance(constants, Rescale)
                self._join(operation, constants, name)
            case Normalize():
                assert isinstance(constants, Normalizer)
                self._normalize(operation, constants, name)
            case Pad():
                self._use(functions.PAD)
                (height, width, channels), (rows, columns, _) = operation.inputs, operation.outputs
                sizes = (height, width * channels, operation.top, operation.left * channels, columns * channels)
                numbers = ", ".join(map(str, (*sizes, rows * columns * channels)))
                self._call("model_pad", f"{self._at(operation.sources[0])}, {self._at(operation.target)}, {numbers}")

    def _convolve(self, operation: Convolve, kernel: Kernel, name: str, scratch: int) -> None:
        coding, window = operation.coding, operation.window
        self.constants.append(_array("uint8_t", f"{name}_kernel", coding.pack(kernel.values)))
        if kernel.bias is not None:
            self.constants.append(_array("int16_t", f"{name}_bias", kernel.bias))
        self.constants.append(_array("uint16_t", f"{name}_factor", kernel.factors))
        kind = self._kind(operation.sources[0])
        form = operation.form
        if coding.is_packed:
            self._use(functions.UNPACK)
        if form != "depthwise":
            self._use(_typed(functions.DOT, kind))
        if form == "dense":
            function = "model_dense_packed" if coding.is_packed else "model_dense"
            self._use(_typed(functions.DENSE_PACKED if coding.is_packed else functions.DENSE, kind))
        else:
            text = {"conv": functions.CONV, "depthwise": functions.DEPTHWISE, "grouped": functions.GROUPED}[form]
            begin, before, after, packed = functions.PACKED if coding.is_packed else functions.BYTES
            for key, value in (("begin", begin), ("before", before), ("after", after), ("packed", packed)):
                text = text.replace(f"{{{key}}}", value)
            self._use(_typed(text, kind))
            function = f"model_{form}{packed}"
        (height, width, channels), (rows, columns, outputs) = operation.inputs, operation.outputs
        (top, _), (left, _) = (window.padding(operation.inputs[axis], axis) for axis in (0, 1))
        low, high = self._program.graph.values[operation.target].limits
        per_group = outputs // operation.groups
        numbers = (
            self._place(operation.sources[0]), self._program.arena.places[operation.target], scratch, rows * columns,
            height, width, channels, rows, columns, outputs, *window.size, window.stride, window.dilation, top, left,
            operation.kernel_shape[3], per_group, kernel.bias_shift, coding.per_byte, low, high,
        )  # fmt: skip
        bias = f"{name}_bias" if kernel.bias is not None else "0"
        fields = ", ".join([f"{name}_kernel", bias, f"{name}_factor", *map(str, numbers)])
        self.constants.append(f"static const model_layer {name} = {{{fields}}};\n")
        last = (", logits" if operation.is_last else ", 0") if form == "dense" else ""
        self._call(f"{function}_{kind}", f"&{name}, image, arena{last}")

    def _pool(self, operation: Pool, constants: Any, name: str) -> None:
        kind, window = self._kind(operation.sources[0]), operation.window
        self._use(functions.POOL)
        self._use(_typed(functions.MEAN if operation.is_mean else functions.MAXIMUM, kind))
        (top, _), (left, _) = (window.padding(operation.inputs[axis], axis) for axis in (0, 1))
        multiplier, shift = (constants.multipliers[0], constants.shift) if operation.is_mean else (1, 0)
        numbers = (
            self._place(operation.sources[0]), self._program.arena.places[operation.target], *operation.inputs,
            *operation.outputs[:2], *window.size, window.stride, top, left, multiplier, shift,
            *self._program.graph.values[operation.target].limits,
        )  # fmt: skip
        self.constants.append(f"static const model_pool {name} = {{{', '.join(map(str, numbers))}}};\n")
        self._call(f"model_{'mean' if operation.is_mean else 'maximum'}_{kind}", f"&{name}, image, arena")

    def _map(self, operation: Map, constants: Any, name: str) -> None:
        (source,), values = operation.sources, self._program.graph.values
        places = f"{self._at(source)}, {self._at(operation.target)}, {values[source].size}"
        match constants:
            case Table() if operation.activation == "elu":
                self._use(functions.ELU)
                last = len(constants.values) - 1
                self._call("model_elu", f"{places}, {self._table(constants, name)}, {last}, {constants.shift}")
            case Table():
                self._use(functions.TABLE)
                self._call("model_table", f"{places}, {self._table(constants, name)}")
            case Slopes():
                self._use(functions.SLOPE)
                self.constants.append(_array("int16_t", f"{name}_slopes", constants.values))
                self._call("model_slope", f"{places}, {name}_slopes, {len(constants.values)}")
            case _:
                self._use(functions.CUT)
                most = constants.most if isinstance(constants, Cut) else 255
                self._call("model_cut_all", f"{places}, {int(values[source].is_signed)}, {most}")

    def _normalize(self, operation: Normalize, constants: Normalizer, name: str) -> None:
        kind, channels = self._kind(operation.sources[0]), operation.outputs[2]
        self._use(NORM)
        self._use(_typed(NORMALIZE, kind))
        self.constants.append(_array("int16_t", f"{name}_factor", constants.factors))
        self.constants.append(_array("int16_t", f"{name}_bias", constants.biases))
        width = channels // operation.groups
        pixels = operation.together // width
        numbers = (
            self._place(operation.sources[0]), self._program.arena.places[operation.target], f"{constants.epsilon}u",
            operation.outputs[0] * operation.outputs[1] // pixels, pixels, channels, width,
            constants.reach, constants.scale, constants.bias_shift, constants.shift,
            *self._program.graph.values[operation.target].limits,
        )  # fmt: skip
        fields = ", ".join([f"{name}_factor", f"{name}_bias", *map(str, numbers)])
        self.constants.append(f"static const model_norm {name} = {{{fields}}};\n")
        self._call(f"model_normalize_{kind}", f"&{name}, image, arena")

    def _join(self, operation: Add | Concatenate, constants: Rescale, name: str) -> None:
        self._use(functions.JOIN)
        is_sum = isinstance(operation, Add)
        self._use(functions.ADD if is_sum else functions.CONCATENATE)
        values, (rows, columns, outputs) = self._program.graph.values, operation.outputs
        signs = np.array([values[source].is_signed for source in operation.sources])
        channels = np.array([outputs] if isinstance(operation, Add) else operation.channels)
        places = ", ".join(self._place(source) for source in operation.sources)
        self.constants += [
            f"static const uint32_t {name}_source[{len(operation.sources)}] = {{{places}}};\n",
            _array("int16_t", f"{name}_multiplier", np.array(constants.multipliers)),
            _array("uint16_t", f"{name}_channels", channels),
            _array("uint8_t", f"{name}_signs", signs),
        ]
        count = rows * columns * outputs if is_sum else rows * columns
        numbers = (
            self._program.arena.places[operation.target], count, len(operation.sources), outputs, constants.shift,
            *values[operation.target].limits,
        )  # fmt: skip
        fields = [f"{name}_{field}" for field in ("source", "multiplier", "channels", "signs")]
        self.constants.append(f"static const model_join {name} = {{{', '.join([*fields, *map(str, numbers)])}}};\n")
        self._call("model_add" if is_sum else "model_concatenate", f"&{name}, image, arena")

    def _table(self, table: Table, name: str) -> str:
        """The name of a table, which is written once."""
        content = table.values.tobytes()
        if content not in self._tables:
            self._tables[content] = f"{name}_table"
            self.constants.append(_array("uint8_t", f"{name}_table", table.values))
        return self._tables[content]

    def _kind(self, value: int) -> str:
        return "s8" if self._program.graph.values[value].is_signed else "u8"

    def _place(self, value: int) -> str:
        return "MODEL_FROM_IMAGE" if value == IMAGE else str(self._program.arena.places[value])

    def _at(self, value: int) -> str:
        return "image" if value == IMAGE else f"arena + {self._program.arena.places[value]}"

    def _use(self, text: str) -> None:
        self.functions[text] = None

    def _call(self, function: str, arguments: str) -> None:
        self.calls.append(f"    {function}({arguments});\n")


def _typed(text: str, kind: str) -> str:
    return text.replace("{T}", "int8_t" if kind == "s8" else "uint8_t").replace("{t}", kind)


def _array(kind: str, name: str, values: NDArray[Any]) -> str:
    texts = [str(int(value)) for value in values.reshape(-1)]
    lines = [", ".join(texts[start : start + _PER_LINE]) for start in range(0, len(texts), _PER_LINE)]
    body = ",\n    ".join(lines)
    return f"static const {kind} {name}[{len(texts)}] = {{\n    {body}\n}};\n"


def _text(value: str) -> str:
    """A C string; bytes beyond ASCII in octal, and no trigraphs."""
    plain = {ord('"'): '\\"', ord("\\"): "\\\\", ord("?"): "\\?"}
    return '"' + "".join(plain.get(b, chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in value.encode()) + '"'
