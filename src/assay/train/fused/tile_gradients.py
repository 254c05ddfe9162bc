"""Kernel gradients in tiles (``tiles``): g = x * d summed over images and positions. Layouts: see ``buffers``.

A product of tiles sums over 32 images here: a pair of blocks (2b, 2b + 1). A holds 16 outputs of d and B 16 channels of
x, both of one position, and C is 16 x 16 elements of g. For A, the copy of ``kernel_gradients`` that makes pairs of
blocks is all that is needed. B has images as rows, so x is also transposed. Bands of rows are copied at a time, as many
as stay in the second-level cache.

Where few channels would leave most of a tile empty, a copied pixel is *wide*: it takes all taps of a kernel row with
it, which lie side by side in an image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from . import tiles
from .blocks import Weighted
from .buffers import BatchInfo, Buffer, Floats, Mode
from .commands import CommandList
from .compiler import Kernel, compiled
from .tiles import ROWS, SCRATCH, TILE, How

_BAND_TILES = 768  # of x and d together in a band of rows: 768 kB
_TRANSPOSITION = 6  # how many products of tiles take as long as copying and transposing a tile


@dataclass(frozen=True)
class Sharing:
    """How the elements of a kernel's gradient are shared among tiles.

    Args:
        plan: The layer.
        stored: Channels of x, with padding.
        is_wide: A copied pixel of x holds all taps of a kernel row.
    """

    plan: Weighted
    stored: int
    is_wide: bool

    @property
    def span(self) -> int:
        """Neighbouring channels of x that are a copied pixel."""
        return self.stored * (self.plan.kernel[1] if self.is_wide else 1)

    @property
    def pixel_tiles(self) -> int:
        return math.ceil(self.span / ROWS)

    @property
    def row_tiles(self) -> int:
        """Tiles that meet an output position in a kernel row."""
        return self.pixel_tiles * (1 if self.is_wide else self.plan.kernel[1])

    @property
    def columns(self) -> int:
        """Copied pixels of a row."""
        width, stride = self.plan.outputs[1], self.plan.stride
        return width if self.is_wide else (width - 1) * stride + self.plan.kernel[1]

    @property
    def output_tiles(self) -> int:
        return math.ceil(self.plan.outputs[2] / ROWS)

    @property
    def cost(self) -> int:
        """Of a row of an image, in products of tiles."""
        height, width = self.plan.kernel[0], self.plan.outputs[1]
        return (
            self.plan.stride * self.columns * self.pixel_tiles * _TRANSPOSITION
            + width * height * self.row_tiles * self.output_tiles
        )

    @property
    def blocking(self) -> tuple[int, int]:
        """Tiles of x and of d whose products are summed at once."""
        return tiles.blocking(self.plan.kernel[0] * self.row_tiles, self.output_tiles)

    @property
    def band_rows(self) -> int:
        """Rows of output that are copied at a time, in bands of like size: see ``kernel_gradients.band_rows``."""
        (height, width, _), stride, taps = self.plan.outputs, self.plan.stride, self.plan.kernel[0]
        x_row = self.columns * self.pixel_tiles
        row = stride * x_row + width * self.output_tiles
        most = min(height, max(taps, (_BAND_TILES - (taps - stride) * x_row) // row))
        return math.ceil(height / math.ceil(height / most))


class TiledGradient:
    """A convolution's kernel gradient in tiles."""

    def __init__(self, how: How, plan: Weighted, x: Buffer) -> None:
        self.plan, self.x = plan, x
        self.sharing = min(
            (Sharing(plan, x.stored_channels, is_wide) for is_wide in (False, True)), key=lambda s: s.cost
        )
        self.config = tiles.configuration(ROWS, ROWS)
        self._kernel = kernel_gradient(how, x.mode, *self.sharing.blocking)

    def record(self, commands: CommandList, batch: BatchInfo, dy: Buffer, gradient: Floats) -> None:
        """Record the call that sums the gradient, float32 [kernel height, kernel width, inputs, outputs], flat."""
        plan, x, sharing = self.plan, self.x, self.sharing
        height, width, outputs = plan.outputs
        step, move = (plan.stride, 1) if sharing.is_wide else (1, plan.stride)
        commands.add(
            batch.blocks * height * width * plan.kernel[0] * sharing.row_tiles * outputs, self._kernel, x.data, dy.data,
            gradient, batch.blocks, x.full_height, x.full_width, x.vectors, x.channels, x.stored_channels, sharing.span,
            *plan.kernel, plan.stride, step, move, sharing.columns, sharing.row_tiles, outputs, height, width,
            dy.full_height, dy.full_width, dy.top, dy.left, dy.vectors, sharing.band_rows, self.config,
        )  # fmt: skip


def gradient(plan: Weighted, x: Buffer, precision: Mode) -> TiledGradient | None:
    """The kernel gradient of a convolution in tiles, or ``None`` where it cannot be multiplied so."""
    how = tiles.how()
    return None if how is None or precision != "b" or plan.is_dense else TiledGradient(how, plan, x)


@cache
def kernel_gradient(how: How, source: Mode, taps: int, outputs: int) -> Kernel:
    """g = x * d summed over images and positions: [kernel height, kernel width, channels, output channels].

    A job is ``taps`` tiles of x, counted through the rows of the kernel, times ``outputs`` tiles of d. It sums over a
    band of rows in registers, and adds to its sums in ``m``. Threads share jobs, and each goes through the images in
    order.

    Args:
        how: What multiplies tiles.
        source: Mode of x: images are float32.
        taps, outputs: Of a job.

    Arguments: part, parts, x, d, g, number of blocks, x height and width (with margin), vectors a pixel in x, channels,
    stored channels, channels of a copied pixel, kernel height and width, stride, x columns between copied pixels,
    copied pixels between positions, copied pixels of a row, tiles of x that meet a position in a kernel row, output
    channels, output height and width, d height and width (with margin), d margins at top and left, vectors a pixel in
    d, rows of a band, configuration.
    """
    numbers = [(t, q) for t in range(taps) for q in range(outputs)]
    step = tiles.products(
        taps, outputs, pixels=[f"xs, (here + tap{t}) * 256, 16" for t in range(taps)],
        factors=[f"ds, (there + output{q}) * 256, 16" for q in range(outputs)], indent=" " * 24,
    )  # fmt: skip
    summed = ""
    for t, q in numbers:
        number = t * outputs + q
        summed += f"                tile_store(tiles, {number}, sums, {number * TILE}, 16)\n"
    # Where the last taps or outputs of a row of jobs are missing, those before are summed again and not written.
    chosen = "".join(
        f"                t{t} = min(chunk * {taps} + {t}, kernel_height * row_tiles - 1)\n"
        f"                tap{t} = t{t} // row_tiles * x_columns * pixel_tiles + t{t} % row_tiles\n"
        for t in range(taps)
    ) + "".join(
        f"                output{q} = min(index // chunks * {outputs} + {q}, output_tiles - 1)\n"
        for q in range(outputs)
    )
    tile_vectors = ROWS if source == "f" else ROWS // 2
    parameters = (
        "x[] d[] g[float] blocks x_height x_width x_vectors channels x_stored span kernel_height kernel_width stride "
        "x_step x_move x_columns row_tiles num_outputs height width d_height d_width d_top d_left d_vectors rows "
        "config[long]"
    )
    source_text = f"""    pixel_tiles, output_tiles = (span + 15) // 16, (num_outputs + 15) // 16
    chunks = (kernel_height * row_tiles + {taps - 1}) // {taps}
    jobs = chunks * ((output_tiles + {outputs - 1}) // {outputs})
    begin, end = jobs * part // parts, jobs * (part + 1) // parts
    if begin == end:
        return
    x_rows = (rows - 1) * stride + kernel_height
    xs = np.empty(x_rows * x_columns * pixel_tiles * 256, np.int32)
    ds = np.empty(rows * width * output_tiles * 256, np.int32)
    if d_vectors % 8 != 0:
        ds[:] = 0
    m, sums = np.zeros((end - begin) * {len(numbers) * TILE}, np.float32), np.empty({len(numbers) * TILE}, np.float32)
    tiles = np.empty({SCRATCH}, np.uint32)
    nothing, none = splat(ZERO), splat_i(np.uint32(0))
    tile_configure(tiles, config)
    for b in range(0, blocks, 2):
        # The last of an odd number of blocks is paired with zeros, and read in its own place.
        next_x, next_d, is_paired = 0, 0, at_least(none, np.uint32(1))
        if b + 1 < blocks:
            next_x, next_d = x_height * x_width * x_vectors, d_height * d_width * d_vectors
            is_paired = at_least(none, np.uint32(0))
        for top in range(0, height, rows):
            depth = min(rows, height - top)
            for i in range((depth - 1) * stride + kernel_height):
                for j in range(x_columns):
                    pixel = ((b * x_height + top * stride + i) * x_width + j * x_step) * x_vectors
                    for tile in range(pixel_tiles):
                        here = pixel + tile * {tile_vectors}
                        other = here + next_x
                        there = ((i * x_columns + j) * pixel_tiles + tile) * 256
                        count = span - tile * 16
{_transposed(source)}            for i in range(depth):
                for j in range(width):
                    here = ((b * d_height + top + i + d_top) * d_width + j + d_left) * d_vectors
                    other = here + next_d
                    there = (i * width + j) * output_tiles * 256
                    for c in range(d_vectors):
                        first, second = load_i(d, (here + c) * 16), load_i(d, (other + c) * 16)
                        second = select_i(is_paired, second, none)
                        store_i(ds, there + 32 * c, interleave_low(first, second))
                        store_i(ds, there + 32 * c + 16, interleave_high(first, second))
            for index in range(begin, end):
                chunk = index % chunks
{chosen}{tiles.zeros(len(numbers), " " * 16)}\
                for i in range(depth):
                    here = i * stride * x_columns * pixel_tiles
                    there = i * width * output_tiles
                    for _ in range(width):
{step}                        here += x_move * pixel_tiles
                        there += output_tiles
{summed}                at = (index - begin) * {len(numbers) * TILE}
                for row in range({len(numbers) * ROWS}):
                    store_f(m, at + row * 16, add(load_f(m, at + row * 16), load_f(sums, row * 16)))
    tile_release(tiles)
    for index in range(begin, end):
        for number in range({len(numbers)}):
            t = index % chunks * {taps} + number // {outputs}
            output = index // chunks * {outputs} + number % {outputs}
            if t < kernel_height * row_tiles and output < output_tiles:
                for n in range(16):
                    s = t % row_tiles % pixel_tiles * 16 + n
                    c = s % x_stored
                    if s < span and c < channels:
                        tap = t // row_tiles * kernel_width + t % row_tiles // pixel_tiles + s // x_stored
                        row = (tap * channels + c) * num_outputs + output * 16
                        for o in range(min(16, num_outputs - output * 16)):
                            g[row + o] = m[((index - begin) * {len(numbers)} + number) * 256 + o * 16 + n]
"""
    return compiled("tile_gradient", parameters, source_text, **tiles.operations(how))


def _transposed(source: Mode) -> str:
    """Source that copies up to 16 channels of a pixel of two blocks as a tile: a row for each pair of images."""
    indent = " " * 24
    text = ""
    for n in range(0, ROWS, 1 if source == "f" else 2):
        names = [f"v{n}"] if source == "f" else [f"v{n}", f"v{n + 1}"]
        text += "".join(f"{indent}{name} = none\n" for name in names) + f"{indent}if count > {n}:\n"
        if source == "f":
            text += (
                f"{indent}    second = select(is_paired, load_f(x, (other + {n}) * 16), nothing)\n"
                f"{indent}    v{n} = pair(load_f(x, (here + {n}) * 16), second)\n"
            )
        else:
            text += (
                f"{indent}    first, second = load_i(x, (here + {n // 2}) * 16), load_i(x, (other + {n // 2}) * 16)\n"
                f"{indent}    second = select_i(is_paired, second, none)\n"
                f"{indent}    v{n} = interleave_low(first, second)\n"
                f"{indent}    v{n + 1} = interleave_high(first, second)\n"
            )
    rows = ", ".join(f"v{n}" for n in range(ROWS))
    text += f"{indent}{rows} = transpose_16({rows})\n"
    return text + "".join(f"{indent}store_i(xs, there + {16 * n}, v{n})\n" for n in range(ROWS))


@cache
def dense_gradient(how: How, inputs: int, outputs: int) -> Kernel:
    """``products.dense_gradient`` in tiles: ``inputs`` tiles of x times ``outputs`` of d at once, over all images.

    Lanes without an image need not be skipped: d is zero there.

    Arguments: part, parts, x [pairs of blocks, stored inputs, lane], d [pairs of blocks, lane, stored outputs], g,
    number of pairs of blocks, of pixels, stored channels and channels (inputs are pixels of channels), outputs and
    stored outputs (whole tiles), configuration.
    """
    numbers = [(p, q) for p in range(outputs) for q in range(inputs)]
    step = tiles.products(
        outputs, inputs, pixels=[f"d, b * 16 * stored_outputs + o{p}, stored_outputs" for p in range(outputs)],
        factors=[f"x, (b * total + first{q}) * 16, 16" for q in range(inputs)], indent=" " * 16,
    )  # fmt: skip
    summed = "".join(
        f"            tile_store(tiles, {p * inputs + q}, sums, {(p * inputs + q) * TILE}, 16)\n" for p, q in numbers
    )
    for p, q in numbers:
        # An input that two tiles hold is written by the first one.
        summed += f"""            for r in range(t{q} - first{q}, rows):
                pixel, c = (first{q} + r) // stored, (first{q} + r) % stored
                if c < channels:
                    row = (pixel * channels + c) * num_outputs + o{p}
                    if o{p} + 16 <= num_outputs:
                        store_f(g, row, load_f(sums, {(p * inputs + q) * TILE} + r * 16))
                    else:
                        for k in range(num_outputs - o{p}):
                            g[row + k] = sums[{(p * inputs + q) * TILE} + r * 16 + k]
"""
    firsts = "".join(
        f"        t{q} = (group * {inputs} + {q}) * rows\n        first{q} = min(t{q}, total - rows)\n"
        for q in range(inputs)
    )
    return compiled(
        "tile_dense_gradient",
        "x[] d[] g[] blocks pixels stored channels num_outputs stored_outputs config[long]",
        f"""    tiles = np.empty({SCRATCH}, np.uint32)
    sums = np.empty({len(numbers) * TILE}, np.float32)
    total = pixels * stored
    rows = min(16, total)
    groups = (total + {inputs} * rows - 1) // ({inputs} * rows)
    tile_configure(tiles, config)
    for group in range(groups * part // parts, groups * (part + 1) // parts):
{firsts}        for wanted in range(0, stored_outputs, {16 * outputs}):
{"".join(f"            o{p} = min(wanted + {16 * p}, stored_outputs - 16)" + chr(10) for p in range(outputs))}\
{tiles.zeros(len(numbers), " " * 12)}            for b in range(blocks):
{step}{summed}    tile_release(tiles)
""",
        **tiles.operations(how),
    )
