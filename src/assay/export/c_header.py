"""A small network as one C header: constants and two forward passes, in float32 and in 8 bits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import disk
from ..errors import Problem, SpecError
from .own_module import refuse_own
from .portable import Portable
from .quantized import Int8Network, Pool, Quantized, Step, Weighted, quantize, steps_of

MOST_PARAMETERS = 100_000
_PER_LINE = 16

_HEAD = """/* {title}

   {parameters} parameters. C99, no allocation, nothing but <stdint.h> and <math.h>.

       float probabilities[MODEL_CLASSES];
       int label = model_classify(image, probabilities);        float32
       int label = model_classify_int8(image, probabilities);   8-bit weights and activations

   image holds {height} x {width} x {channels} stored pixel values ({values}), row by row, the channels of a pixel
   side by side; scaling is inside. Each call takes {stack} bytes of stack at most. Define MODEL_INT8_ONLY or
   MODEL_FLOAT_ONLY before including this to leave the other pass and its constants out:
   {float_bytes} bytes in float32, {int8_bytes} in 8 bits. */

#ifndef ASSAY_MODEL_H
#define ASSAY_MODEL_H

#include <math.h>
#include <stdint.h>

#define MODEL_HEIGHT {height}
#define MODEL_WIDTH {width}
#define MODEL_CHANNELS {channels}
#define MODEL_CLASSES {classes}

typedef {pixel} model_pixel;

static const char *const model_labels[MODEL_CLASSES] = {{{labels}}};
static const float model_offset[MODEL_CHANNELS] = {{{offset}}};
static const float model_factor[MODEL_CHANNELS] = {{{factor}}};

/* Logits to probabilities, in place; the most probable class. */
static inline int model_softmax(float *values) {{
    int best = 0;
    float sum = 0.0f;
    for (int k = 1; k < MODEL_CLASSES; k++)
        if (values[k] > values[best]) best = k;
    const float most = values[best];
    for (int k = 0; k < MODEL_CLASSES; k++) sum += values[k] = expf(values[k] - most);
    for (int k = 0; k < MODEL_CLASSES; k++) values[k] /= sum;
    return best;
}}
"""

_FLOAT = """
#ifndef MODEL_INT8_ONLY
{constants}
static inline void model_conv(const float *x, int height, int width, int channels, const float *kernel,
                              const float *bias, float *y, int rows, int columns, int outputs, int kernel_height,
                              int kernel_width, int stride, int top, int left, int relu) {{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            for (int o = 0; o < outputs; o++) {{
                float sum = bias[o];
                for (int u = 0; u < kernel_height; u++) {{
                    const int row = i * stride + u - top;
                    if (row < 0 || row >= height) continue;
                    for (int v = 0; v < kernel_width; v++) {{
                        const int column = j * stride + v - left;
                        if (column < 0 || column >= width) continue;
                        const float *from = x + (row * width + column) * channels;
                        const float *by = kernel + ((o * kernel_height + u) * kernel_width + v) * channels;
                        for (int c = 0; c < channels; c++) sum += from[c] * by[c];
                    }}
                }}
                y[(i * columns + j) * outputs + o] = relu && sum < 0.0f ? 0.0f : sum;
            }}
}}

{pool_float}
static inline int model_classify(const model_pixel *image, float *probabilities) {{
    float one[{size}], other[{size}];
    for (int k = 0; k < MODEL_HEIGHT * MODEL_WIDTH * MODEL_CHANNELS; k++)
        {first}[k] = ((float)image[k] - model_offset[k % MODEL_CHANNELS]) * model_factor[k % MODEL_CHANNELS];
{float_calls}
    return model_softmax(probabilities);
}}
#endif
"""

_INT8 = """
#ifndef MODEL_FLOAT_ONLY
static const float model_input_factor = {input_factor};
{constants}
/* To int8: halves away from zero, cut at -127 and 127. */
static inline int8_t model_rounded(float value) {{
    if (value >= 127.0f) return 127;
    if (value <= -127.0f) return -127;
    return (int8_t)(value + (value < 0.0f ? -0.5f : 0.5f));
}}

/* Sums are multiplied by factor: into y8, or for the last layer into y. */
static inline void model_conv_int8(const int8_t *x, int height, int width, int channels, const int8_t *kernel,
                                   const int32_t *bias, const float *factor, int8_t *y8, float *y, int rows,
                                   int columns, int outputs, int kernel_height, int kernel_width, int stride, int top,
                                   int left, int relu) {{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            for (int o = 0; o < outputs; o++) {{
                int32_t sum = bias[o];
                for (int u = 0; u < kernel_height; u++) {{
                    const int row = i * stride + u - top;
                    if (row < 0 || row >= height) continue;
                    for (int v = 0; v < kernel_width; v++) {{
                        const int column = j * stride + v - left;
                        if (column < 0 || column >= width) continue;
                        const int8_t *from = x + (row * width + column) * channels;
                        const int8_t *by = kernel + ((o * kernel_height + u) * kernel_width + v) * channels;
                        for (int c = 0; c < channels; c++) sum += (int32_t)from[c] * by[c];
                    }}
                }}
                if (relu && sum < 0) sum = 0;
                const float scaled = (float)sum * factor[o];
                const int at = (i * columns + j) * outputs + o;
                if (y8) y8[at] = model_rounded(scaled);
                else y[at] = scaled;
            }}
}}

{pool_int8}
static inline int model_classify_int8(const model_pixel *image, float *probabilities) {{
    int8_t one[{size}], other[{size}];
    for (int k = 0; k < MODEL_HEIGHT * MODEL_WIDTH * MODEL_CHANNELS; k++)
        {first}[k] = model_rounded(((float)image[k] - model_offset[k % MODEL_CHANNELS]) *
                            model_factor[k % MODEL_CHANNELS] * model_input_factor);
{int8_calls}
    return model_softmax(probabilities);
}}
#endif
"""

_POOL = """static inline void model_maximum{suffix}(const {type} *x, int height, int width, int channels, {type} *y,
                                 int rows, int columns, int size, int stride, int top, int left) {{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            for (int c = 0; c < channels; c++) {{
                int is_set = 0;
                {type} best = 0;
                for (int u = 0; u < size; u++) {{
                    const int row = i * stride + u - top;
                    if (row < 0 || row >= height) continue;
                    for (int v = 0; v < size; v++) {{
                        const int column = j * stride + v - left;
                        if (column < 0 || column >= width) continue;
                        const {type} value = x[(row * width + column) * channels + c];
                        if (!is_set || value > best) best = value;
                        is_set = 1;
                    }}
                }}
                y[(i * columns + j) * channels + c] = best;
            }}
}}
"""


def write_c(network: Portable, path: Path, images: NDArray[Any], title: str) -> Int8Network:
    """Write a C header with the network in float32 and in 8 bits.

    Args:
        network: A chain of conv, maxpool, dense, relu, batchnorm behind conv or dense, dropout and flatten.
        path: The header.
        images: Stored training images [n, height, width, channels], which say how large activations become.
        title: Its first line.

    Returns:
        The network in 8 bits, as NumPy computes it: the header gives the same sums.

    Raises:
        SpecError: It stands on a base, or has another layer, or more than 100,000 parameters.
        DiskFull: There is no space left.
    """
    refuse_own(network, "no C code is written for it")
    base, count = network.summary.base, network.summary.parameters
    if base is not None:
        what = f"it stands on {base.title}, and a C header has no code that prepares images for a base"
        raise SpecError(Problem(what, "export it as onnx or keras, or a run without a base as c"))
    if count > MOST_PARAMETERS:
        what = f"it has {count:,} parameters, and a header holds {MOST_PARAMETERS:,} at most"
        raise SpecError(Problem(what, "export a smaller network, or another format"))
    small = quantize(network, images)
    disk.write(path, source_of(network, small, title).encode())
    return small


def source_of(network: Portable, small: Int8Network, title: str) -> str:
    """The header's text."""
    steps = steps_of(network)
    shapes = [network.shape, *(step.outputs for step in steps)]
    size = max(math.prod(shape) for shape in shapes[:-1])
    height, width, channels = network.shape
    weighted = [step for step in steps if isinstance(step, Weighted)]
    has_pools = len(weighted) < len(steps)
    float_bytes = sum(4 * (step.kernel.size + step.bias.size) for step in weighted)
    names = ["one", "other"]
    places = [names[index % 2] for index in range(len(steps))]
    head = _HEAD.format(
        title=title.replace("*/", "* /"), parameters=f"{network.summary.parameters:,}", height=height, width=width,
        channels=channels, classes=network.summary.num_classes, stack=f"{8 * size:,}", float_bytes=f"{float_bytes:,}",
        int8_bytes=f"{small.num_bytes:,}", labels=", ".join(map(_text, network.classes)),
        offset=_listed(network.offset), factor=_listed(network.factor),
        values="bytes, 0 to 255" if network.dtype == "uint8" else "float, 0 to 1",
        pixel="uint8_t" if network.dtype == "uint8" else "float",
    )  # fmt: skip
    floats = _FLOAT.format(
        constants="".join(
            _array("float", f"{step.name}_{name}", getattr(step, name))
            for step in weighted
            for name in ("kernel", "bias")
        ),
        pool_float=_POOL.format(suffix="", type="float") if has_pools else "",
        size=size, first=places[0], float_calls="".join(_calls(steps, places)),
    )  # fmt: skip
    quantized = [step for step in small.steps if isinstance(step, Quantized)]
    kinds = (("int8_t", "kernel"), ("int32_t", "bias"), ("float", "factor"))
    ints = _INT8.format(
        input_factor=_float(small.input_factor),
        constants="".join(
            _array(kind, f"{step.step.name}_{name}_int8", getattr(step, name))
            for step in quantized
            for kind, name in kinds
        ),
        pool_int8=_POOL.format(suffix="_int8", type="int8_t") if has_pools else "",
        size=size, first=places[0], int8_calls="".join(_calls(steps, places, suffix="_int8")),
    )  # fmt: skip
    return f"{head}{floats}{ints}\n#endif\n"


def _calls(steps: tuple[Step, ...], places: list[str], suffix: str = "") -> list[str]:
    calls = []
    for index, step in enumerate(steps):
        source = places[index]
        is_last = index == len(steps) - 1
        target = "probabilities" if is_last else "other" if source == "one" else "one"
        top, left = (step.window.padding(step.inputs[axis], axis)[0] for axis in (0, 1))
        sizes, outputs = ", ".join(map(str, step.inputs)), step.outputs
        if isinstance(step, Pool):
            last = f"{outputs[0]}, {outputs[1]}, {step.window.size[0]}, {step.window.stride}, {top}, {left}"
            calls.append(f"    model_maximum{suffix}({source}, {sizes}, {target}, {last});\n")
            continue
        window = f"{step.window.size[0]}, {step.window.size[1]}, {step.window.stride}, {top}, {left}"
        last = f"{outputs[0]}, {outputs[1]}, {outputs[2]}, {window}, {int(step.has_relu)}"
        names = f"model_{step.name}_kernel{suffix}, model_{step.name}_bias{suffix}"
        if suffix:
            to = f"0, {target}" if is_last else f"{target}, 0"
            names = f"{names}, model_{step.name}_factor{suffix}, {to}"
        else:
            names = f"{names}, {target}"
        calls.append(f"    model_conv{suffix}({source}, {sizes}, {names}, {last});\n")
    return calls


def _array(kind: str, name: str, values: NDArray[Any]) -> str:
    flat = values.reshape(-1)
    texts = [_float(value) if kind == "float" else str(int(value)) for value in flat]
    lines = [", ".join(texts[start : start + _PER_LINE]) for start in range(0, len(texts), _PER_LINE)]
    body = ",\n    ".join(lines)
    return f"static const {kind} model_{name}[{len(flat)}] = {{\n    {body}\n}};\n"


def _listed(values: NDArray[np.float32]) -> str:
    return ", ".join(map(_float, values))


def _float(value: Any) -> str:
    text = f"{float(value):.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def _text(value: str) -> str:
    """A C string; bytes beyond ASCII in octal, and no trigraphs."""
    plain = {ord('"'): '\\"', ord("\\"): "\\\\", ord("?"): "\\?"}
    return '"' + "".join(plain.get(b, chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in value.encode()) + '"'
