"""Matrix products and direct convolutions, and their gradients. Layouts: see ``buffers``.

All have the same inner loop: load some vectors of activations, broadcast some numbers of the other operand, and multiply
every one with every other into accumulators that stay in registers. With p vectors and k numbers that is p + k loads for
p * k products, so *blocking* (the choice of p and k) wants a square, as large as the registers hold, that divides the
sizes with little waste. The last block of a row or of channels starts earlier instead of being shorter: it computes some
outputs twice, to the same bits, and needs no second kernel.

An accumulator sums its terms in the order of taps and channels, whatever the blocking and the number of threads; threads
share blocks of images (forward) or elements of the gradient (backward), never one sum.
"""

from __future__ import annotations

import math
import textwrap
from functools import cache

from . import vectors
from .buffers import Mode
from .compiler import Kernel, compiled


def blocking(num_outputs: int, width: int, *, is_paired: bool) -> tuple[int, int]:
    """How many output channels and neighbouring positions a convolution accumulates at once.

    Outputs first: every output of a block shares the loaded pixel, and a weight is a load that costs nothing beside the
    multiplication (a broadcast operand from memory). In bfloat16 two outputs make a word, so their number is even.
    """
    step = 2 if is_paired else 1
    sizes = [size for size in range(1, min(16, vectors.ACCUMULATORS) + 1) if size % step == 0 and size <= num_outputs]
    outputs = min(sizes, key=lambda size: math.ceil(num_outputs / size) * (size + 1))  # products with their loads
    return outputs, max(1, min(vectors.ACCUMULATORS // outputs, (vectors.REGISTERS - 1) // (outputs + 1), width, 4))


def lane_sums(names: list[str], indent: str) -> tuple[int, str]:
    """Source that sums accumulators over their lanes into an array ``sums``, and how many numbers that must hold.

    Sixteen accumulators at a time, with zero vectors to fill up: see ``vectors.sum_lanes_16``.
    """
    padded = names + ["nothing"] * (-len(names) % 16)
    return len(padded), "".join(
        f"{indent}store_f(sums, {start}, sum_lanes_16({', '.join(padded[start : start + 16])}))\n"
        for start in range(0, len(padded), 16)
    )


def in_parts(names: list[str], loop: str, indent: str) -> tuple[list[str], str]:
    """Source that sums products over images and positions, lane by lane, and the names of the sums.

    Args:
        names: Of the accumulators, vectors of ``vectors.PART_LANES``.
        loop: Adds to them. It begins at the part that ``half`` says, 0 or 1.
        indent: Of ``loop``.

    In two parts the kernel needs an array ``lanes`` that holds all sums.
    """
    if vectors.PARTS == 1:
        return names, f"{indent}half = 0\n" + "".join(f"{indent}{name} = nothing\n" for name in names) + loop
    text = f"{indent}for half in range(2):\n" + "".join(f"{indent}    {name} = nothing_h()\n" for name in names)
    text += textwrap.indent(loop, "    ")
    text += "".join(f"{indent}    store_h(lanes, {16 * n} + 8 * half, {name})\n" for n, name in enumerate(names))
    whole = [f"whole_{name}" for name in names]
    return whole, text + "".join(f"{indent}{name} = load_f(lanes, {16 * n})\n" for n, name in enumerate(whole))


@cache
def convolution(source: Mode, target: Mode, activation: str, outputs: int, positions: int) -> Kernel:
    """y = activation(x * w + bias); with flipped weights and activation "linear", the gradient of its input.

    Taps that would read the margin alone are skipped, so padding costs no products.

    Weights lie as [kernel height, kernel width * vectors, output channels].

    Arguments: part, parts, x, w, bias, y, number of blocks, x height and width (with margin), x margins (they hold
    zeros and are skipped), vectors a pixel in x, kernel height and width, stride, output channels, output height and
    width, y height and width (with margin), y margin at the top and left, vectors a pixel in y.
    """
    # The accumulator of position p and output k is the name a{p}_{k}: separate variables are registers.
    pairs = [(p, k) for p in range(positions) for k in range(outputs)]
    multiply = "dot(a{p}_{k}, v{p}, w{k})" if source == "b" else "fma(v{p}, w{k}, a{p}_{k})"
    loads = "".join(
        f"                            v{p} = load_{'i' if source == 'b' else 'f'}"
        f"(x, (row + {p} * stride * channels + t) * 16)\n"
        for p in range(positions)
    )
    steps = "".join(
        f"                            w{k} = broadcast_{'i' if source == 'b' else 'f'}(w, weights + t * num_outputs + {k})\n"
        + "".join(f"                            a{p}_{k} = {multiply.format(p=p, k=k)}\n" for p in range(positions))
        for k in range(outputs)
    )
    # Bias, activation and rounding to bfloat16 happen while a sum is still in its register: y is written once.
    finish = ""
    for p in range(positions):
        for k in range(outputs):
            if activation == "relu":
                finish += f"                    a{p}_{k} = maximum(nothing, a{p}_{k})\n"
        place = f"((b * y_height + i + margin_top) * y_width + j + {p} + margin_left) * y_channels + o"
        if target == "b":
            for k in range(0, outputs, 2):
                finish += (
                    f"                    store_i(y, (({place.replace('+ o', f'+ (o + {k}) // 2')})) * 16, "
                    f"pair(a{p}_{k}, a{p}_{k + 1}))\n"
                )
        else:
            for k in range(outputs):
                finish += f"                    store_f(y, ({place} + {k}) * 16, a{p}_{k})\n"
    parameters = (
        "x[] w[] bias[] y[] blocks x_height x_width top bottom left right channels kernel_height kernel_width stride "
        "num_outputs height width y_height y_width margin_top margin_left y_channels"
    )
    # Outputs outside, positions inside: the weights of a few outputs stay in the first-level cache while an image streams
    # past. The last columns and outputs overlap those before (``min``); they are written twice with the same bits.
    source_text = f"""    nothing = splat(ZERO)
    row_taps = kernel_width * channels
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        for first in range(0, num_outputs, {outputs}):
            o = min(first, num_outputs - {outputs})
            for i in range(height):
                for column in range(0, width, {positions}):
                    j = min(column, width - {positions})
{"".join(f"                    a{p}_{k} = broadcast_f(bias, o + {k})" + chr(10) for p, k in pairs)}\
                    first_tap = max(0, left - (j + {positions - 1}) * stride) * channels
                    last_tap = min(kernel_width, x_width - right - j * stride) * channels
                    for u in range(max(0, top - i * stride), min(kernel_height, x_height - bottom - i * stride)):
                        row = ((b * x_height + i * stride + u) * x_width + j * stride) * channels
                        weights = u * row_taps * num_outputs + o
                        for t in range(first_tap, last_tap):
{loads}{steps}{finish}"""
    return compiled("convolution", parameters, source_text)


def dense_blocking(num_blocks: int, num_outputs: int, *, is_paired: bool) -> tuple[int, int]:
    """How many blocks and outputs ``dense_product`` accumulates at once: least waste (to 1 %), then fewest loads a product."""
    step = 2 if is_paired else 1
    sizes = [
        (blocks, outputs)
        for blocks in range(1, 9)
        for outputs in range(step, min(16, num_outputs) + 1, step)
        if blocks * outputs <= vectors.ACCUMULATORS and blocks * outputs + blocks < vectors.REGISTERS
    ]

    def cost(size: tuple[int, int]) -> tuple[float, float]:
        blocks, outputs = size
        waste = math.ceil(num_blocks / blocks) * blocks * math.ceil(num_outputs / outputs) * outputs
        return round(waste / (num_blocks * num_outputs), 2), (blocks + outputs) / (blocks * outputs)

    return min(sizes, key=cost)


@cache
def dense_product(
    source: Mode, target: Mode, activation: str, blocks: int, outputs: int, *, is_output_major: bool
) -> Kernel:
    """y = activation(x * w + bias) of a dense layer, and the gradient of its input.

    The weights are the large operand here, so the loop over blocks of images is inside: each weight is read from memory
    once, for several blocks at a time, and threads share outputs.

    Weights lie as [vectors, outputs]; with ``is_output_major`` as [outputs, vectors].

    Arguments: part, parts, x, w, bias, y, number of blocks, vectors of an input, outputs, vectors of an output.
    """
    places = [(p, k) for p in range(blocks) for k in range(outputs)]
    word, multiply = ("i", "dot(a{p}_{k}, v{p}, w{k})") if source == "b" else ("f", "fma(v{p}, w{k}, a{p}_{k})")
    # One layout is the optimizer's own, which saves the transposition of a large kernel in every step.
    weight = "(o + {k}) * depth + t" if is_output_major else "t * num_outputs + o + {k}"
    indent = " " * 16
    steps = "".join(f"{indent}v{p} = load_{word}(x, (b{p} * depth + t) * 16)\n" for p in range(blocks))
    for k in range(outputs):
        steps += f"{indent}w{k} = broadcast_{word}(w, {weight.format(k=k)})\n"
        steps += "".join(f"{indent}a{p}_{k} = {multiply.format(p=p, k=k)}\n" for p in range(blocks))
    finish = ""
    for p in range(blocks):
        if activation == "relu":
            finish += "".join(f"            a{p}_{k} = maximum(nothing, a{p}_{k})\n" for k in range(outputs))
        if target == "b":
            finish += "".join(
                f"            store_i(y, (b{p} * y_vectors + (o + {k}) // 2) * 16, pair(a{p}_{k}, a{p}_{k + 1}))\n"
                for k in range(0, outputs, 2)
            )
        else:
            finish += "".join(
                f"            store_f(y, (b{p} * y_vectors + o + {k}) * 16, a{p}_{k})\n" for k in range(outputs)
            )
    # Missing blocks at the end repeat the last one (``min``), so that there is one kernel and no branch inside.
    return compiled(
        "dense_product",
        "x[] w[] bias[] y[] blocks depth num_outputs y_vectors",
        f"""    nothing = splat(ZERO)
    chunks = (num_outputs + {outputs - 1}) // {outputs}
    for chunk in range(chunks * part // parts, chunks * (part + 1) // parts):
        o = min(chunk * {outputs}, num_outputs - {outputs})
        for first in range(0, blocks, {blocks}):
{"".join(f"            b{p} = min(first + {p}, blocks - 1)" + chr(10) for p in range(blocks))}\
{"".join(f"            a{p}_{k} = broadcast_f(bias, o + {k})" + chr(10) for p, k in places)}\
            for t in range(depth):
{steps}{finish}""",
    )


@cache
def dense_gradient(mode: Mode, rows: int, columns: int) -> Kernel:
    """g = x * d summed over images: [inputs, outputs], for dense layers.

    Lanes are outputs here, unlike anywhere else: g has many elements, each with few terms (one an image), so summing over
    lanes would cost as much as the products. d is transposed before, which is cheap beside the large g.

    A word of x is one input of one image (in bfloat16 of a pair of images), broadcast to the lanes; d is transposed to
    [image or pair of images, outputs].

    Arguments: part, parts, x [blocks, stored inputs, lane], d [blocks, lane, stored outputs], g, number of blocks, of
    images (lanes without one are skipped) and of pixels, stored channels and channels (inputs are pixels of channels),
    outputs and stored outputs (whole vectors).
    """
    word, multiply = ("i", "dot({a}, x{r}, d{c})") if mode == "b" else ("f", "fma(x{r}, d{c}, {a})")
    names = [(r, c) for r in range(rows) for c in range(columns)]
    indent = " " * 20
    steps = "".join(f"{indent}d{c} = load_{word}(d, line + {16 * c})\n" for c in range(columns))
    for r in range(rows):
        steps += f"{indent}x{r} = broadcast_{word}(x, (b * pixels * stored + row{r}) * 16 + lane)\n"
        steps += "".join(f"{indent}a{r}_{c} = {multiply.format(a=f'a{r}_{c}', r=r, c=c)}\n" for c in range(columns))
    # Each element of g is one thread's, written once: no clearing and no partial sums.
    finish = ""
    for r in range(rows):
        finish += f"            if t + {r} < last:\n"
        finish += "".join(f"                store_f(partial, {16 * c}, a{r}_{c})\n" for c in range(columns))
        finish += f"                for k in range(min({16 * columns}, num_outputs - o)):\n"
        finish += f"                    g[(t + {r}) * num_outputs + o + k] = partial[k]\n"
    row_numbers = "".join(
        f"        t{r} = min(t + {r}, last - 1)\n        row{r} = t{r} // channels * stored + t{r} % channels\n"
        for r in range(rows)
    )
    return compiled(
        "dense_gradient",
        "x[] d[] g[] blocks count pixels stored channels num_outputs stored_outputs",
        f"""    nothing = splat(ZERO)
    partial = np.empty({16 * columns}, np.float32)
    inputs = pixels * channels
    last = inputs * (part + 1) // parts
    for t in range(inputs * part // parts, last, {rows}):
{row_numbers}        for o in range(0, stored_outputs, {16 * columns}):
{"".join(f"            a{r}_{c} = nothing" + chr(10) for r, c in names)}\
            for b in range(blocks):
                for lane in range(min(16, count - {32 if mode == "b" else 16} * b)):
                    line = (b * 16 + lane) * stored_outputs + o
{steps}{finish}""",
    )
