"""What the processor's vector instructions are worth: whether bfloat16 is faster than float32 on it.

A flag does not say. AMD's Zen 4 and 5 multiply bfloat16 twice as fast as float32; Intel's cores with ``avx512_bf16``
half as fast in vectors, and with AMX sixteen times as fast in tiles (``fused.tiles``). So all are timed once, for some
milliseconds, when they are first needed, and the result is kept beside the compiled kernels: every run on the machine
then chooses the same precision.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from .. import disk
from ..errors import AssayError, DiskFull
from .device import kernels_round

_WORTH_ROUNDING = 1.1  # times faster, from which on bfloat16 is chosen; it also halves what is stored
_ACCUMULATORS = 12  # independent sums: enough to keep two units of four cycles busy
_STEPS = 20_000
_TILE_STEPS = 2_000
_ROUNDS = 25  # a round interrupted by another program is slow, and the fastest counts


@dataclass(frozen=True)
class Rates:
    """Multiplications and additions of one thread, in GFLOP/s, from registers.

    Args:
        float32: In vectors.
        bfloat16: In vectors or in tiles, whichever are faster.
    """

    float32: float
    bfloat16: float


def rounds_faster() -> bool:
    """Whether kernels multiply bfloat16 (``device.kernels_round``) and are faster for it than in float32."""
    if not kernels_round():
        return False
    try:
        measured = rates()
    except (DiskFull, MemoryError):
        raise
    except Exception:  # what LLVM cannot compile here is not fast
        return False
    return measured.bfloat16 >= _WORTH_ROUNDING * measured.float32


@cache
def rates() -> Rates:
    """The rates of this processor, which multiplies bfloat16: measured, or read from where they were kept."""
    path = _file()
    try:
        return Rates(**{name: float(value) for name, value in json.loads(path.read_text()).items()})
    except (OSError, ValueError, TypeError, AttributeError):
        measured = measure()
    with contextlib.suppress(AssayError):  # a read-only cache or a full disk: every process measures for itself
        disk.write(path, json.dumps(asdict(measured)).encode())
    return measured


def measure() -> Rates:
    """Time both instructions in turn, so that a change of the clock meets both."""
    from .fused.compiler import compiled

    def loop(multiply: str, load: str) -> str:
        names = range(_ACCUMULATORS)
        text = f"        x = {load}(xs, 0)\n        w = {load}(xs, 16)\n"
        text += "".join(f"        a{i} = load_f(ys, {16 * i})\n" for i in names)
        text += "        for _ in range(count):\n"
        text += "".join(f"            a{i} = {multiply.format(f'a{i}')}\n" for i in names)
        return text + "".join(f"        store_f(ys, {16 * i}, a{i})\n" for i in names)

    body = f"    if is_rounded:\n{loop('dot({0}, x, w)', 'load_i')}    else:\n{loop('fma(x, w, {0})', 'load_f')}"
    kernel = compiled("rates", "xs[] ys[] count is_rounded", body)
    factors, sums = np.zeros(32, np.float32), np.zeros(16 * _ACCUMULATORS, np.float32)
    best = [float("inf"), float("inf")]
    for _ in range(_ROUNDS):
        for is_rounded in (0, 1):
            started = time.perf_counter()
            kernel(0, 1, factors, sums, _STEPS, is_rounded)
            best[is_rounded] = min(best[is_rounded], time.perf_counter() - started)
    operations = _ACCUMULATORS * _STEPS * np.array([2 * 16, 2 * 32]) / 1e9
    float32, bfloat16 = operations / best
    return Rates(float(float32), max(float(bfloat16), _tile_rate()))


def _tile_rate() -> float:
    """Of products of tiles, in GFLOP/s; 0 where the processor has none."""
    from .fused import tiles
    from .fused.compiler import compiled

    how = tiles.how()
    if how is None:
        return 0.0
    step = tiles.products(2, 2, pixels=["xs, 0, 16"] * 2, factors=["xs, 0, 16"] * 2, indent=" " * 8)
    body = f"""    tiles = np.empty({tiles.SCRATCH}, np.uint32)
    tile_configure(tiles, config)
{tiles.zeros(4, " " * 4)}    for _ in range(count):
{step}    tile_release(tiles)
"""
    kernel = compiled("tile_rate", "xs[] config[long] count", body, **tiles.operations(how))
    factors, config = np.zeros(tiles.TILE, np.int32), tiles.configuration(tiles.ROWS, tiles.ROWS)
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        kernel(0, 1, factors, config, _TILE_STEPS)
        best = min(best, time.perf_counter() - started)
    return 4 * _TILE_STEPS * 2 * tiles.ROWS**2 * 2 * tiles.WORDS / best / 1e9


def _file() -> Path:
    from .fused import tiles
    from .fused.compiler import folder
    from .fused.target import target

    return folder().parent / f"rates-{hashlib.sha256(f'{target()} {tiles.how()}'.encode()).hexdigest()[:16]}.json"
