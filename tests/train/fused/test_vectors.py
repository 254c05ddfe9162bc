"""Each operation on vectors against NumPy, lane by lane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from assay.nets.hashing import mix
from assay.nets.masks import halves, keep_mask, threshold
from assay.train.device import has_bfloat16
from assay.train.fused import vectors as v
from assay.train.fused.compiler import kernel as compiled_kernel

NAN, INF = np.float32(np.nan), np.float32(np.inf)


def bits(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32).view(np.uint32)


def floats(words: Any) -> np.ndarray:
    return np.asarray(words, np.uint32).view(np.float32)


def rounded(values: np.ndarray) -> np.ndarray:
    """The bits of the nearest bfloat16, ties to even; for numbers and infinities."""
    words = bits(values).astype(np.uint64)
    return ((words + 0x7FFF + ((words >> 16) & 1)) >> 16).astype(np.uint32)


def in_rows(values: np.ndarray) -> np.ndarray:
    """As many whole vectors as it takes, the last filled up with ones."""
    flat = np.ravel(values)
    return np.concatenate([flat, np.ones(-len(flat) % 16, flat.dtype)])


@compiled_kernel("first[float 1] second[float 1] words[word 1] lows[float 1] highs[float 1]", is_shared=False)
def _pairs(first: Any, second: Any, words: Any, lows: Any, highs: Any) -> None:
    for at in range(0, len(first), 16):
        pairs = v.pair(v.load_f(first, at), v.load_f(second, at))
        v.store_i(words, at, pairs)
        v.store_f(lows, at, v.low(pairs))
        v.store_f(highs, at, v.high(pairs))


def paired(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs, and the two halves that come out of them again."""
    words = np.zeros(len(first), np.int32)
    lows, highs = np.zeros((2, len(first)), np.float32)
    _pairs()(0, 1, first, second, words, lows, highs)
    return words.view(np.uint32), lows, highs


def numbers() -> np.ndarray:
    """Around every bfloat16: itself, the tie above it and that tie's two neighbours; but no subnormals."""
    upper = np.arange(2**16, dtype=np.uint32) << 16
    words = (upper[:, None] | np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)).ravel()
    exponents = words >> 23 & 0xFF
    is_number = (exponents > 0) & (exponents < 255)
    return floats(words[is_number])


def test_rounding_is_to_nearest_even() -> None:
    values = in_rows(numbers())
    others = values[::-1].copy()
    words, lows, highs = paired(values, others)
    assert np.array_equal(words, rounded(values) | rounded(others) << 16)
    assert np.array_equal(bits(lows), rounded(values) << 16)
    assert np.array_equal(bits(highs), rounded(others) << 16)


def test_ties_go_to_even_as_written_out() -> None:
    words = np.array([0x3F808000, 0x3F818000, 0xBF808000, 0xBF818000, 0x7F7F8000, 0x3F807FFF, 0x3F808001], np.uint32)
    even = np.array([0x3F80, 0x3F82, 0xBF80, 0xBF82, 0x7F80, 0x3F80, 0x3F81], np.uint32)  # the fifth overflows
    assert np.array_equal(rounded(floats(words)), even)
    values = in_rows(floats(words))
    assert np.array_equal(paired(values, values)[0][:7], even | even << 16)


def test_infinities_and_zeros_stay_and_what_is_no_number_stays_none() -> None:
    values = in_rows(np.array([INF, -INF, 0.0, -0.0, NAN, -NAN, floats(0x7F800001)[()]], np.float32))
    _, lows, highs = paired(values, values)
    for half in (lows, highs):
        assert np.array_equal(bits(half[:4]), bits(values[:4]))
        assert np.isnan(half[4:7]).all()


def test_subnormals_become_zero_or_their_nearest() -> None:
    """Processors that convert in hardware take them for zero; others round them."""
    values = in_rows(floats([0x00000001, 0x00008000, 0x00018000, 0x007FFFFF, 0x80400000]))
    _, lows, _ = paired(values, values)
    assert all(word in (near, near & 0x8000_0000) for word, near in zip(bits(lows), rounded(values) << 16, strict=True))


@compiled_kernel("first[word 1] second[word 1] lows[word 1] highs[word 1]", is_shared=False)
def _crossed(first: Any, second: Any, lows: Any, highs: Any) -> None:
    one, other = v.load_i(first, 0), v.load_i(second, 0)
    v.store_i(lows, 0, v.interleave_low(one, other))
    v.store_i(highs, 0, v.interleave_high(one, other))


def test_halves_of_two_vectors_are_paired() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 2**32, (2, 16), dtype=np.uint32)
    lows, highs = np.zeros((2, 16), np.uint32)
    _crossed()(0, 1, first, second, lows, highs)
    assert np.array_equal(lows, first & 0xFFFF | second << 16)
    assert np.array_equal(highs, first >> 16 | second & 0xFFFF0000)


@compiled_kernel("rows[float 1] one[float 1] every[float 1]", is_shared=False)
def _sums(rows: Any, one: Any, every: Any) -> None:
    one[0] = v.sum_lanes(v.load_f(rows, 0))
    v.store_f(
        every, 0,
        v.sum_lanes_16(
            v.load_f(rows, 0), v.load_f(rows, 16), v.load_f(rows, 32), v.load_f(rows, 48), v.load_f(rows, 64),
            v.load_f(rows, 80), v.load_f(rows, 96), v.load_f(rows, 112), v.load_f(rows, 128), v.load_f(rows, 144),
            v.load_f(rows, 160), v.load_f(rows, 176), v.load_f(rows, 192), v.load_f(rows, 208), v.load_f(rows, 224),
            v.load_f(rows, 240),
        ),
    )  # fmt: skip


def test_sums_over_lanes() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(-(2**19), 2**19, (16, 16)).astype(np.float32)  # any order of adding these is exact
    one, every = np.zeros(1, np.float32), np.zeros(16, np.float32)
    _sums()(0, 1, rows.ravel(), one, every)
    assert one[0] == rows[0].sum()
    assert np.array_equal(every, rows.sum(1))


@compiled_kernel("value:real word start step picked[float 1] out_f[float 1] out_i[word 1]", is_shared=False)
def _lanes(value: Any, word: Any, start: Any, step: Any, picked: Any, out_f: Any, out_i: Any) -> None:
    v.store_f(out_f, 0, v.splat(value))
    v.store_f(out_f, 16, v.broadcast_f(picked, 3))
    v.store_i(out_i, 0, v.splat_i(word))
    v.store_i(out_i, 16, v.ramp(start, step))
    v.store_i(out_i, 32, v.broadcast_i(out_i, 17))


@pytest.mark.parametrize(("start", "step"), [(0, 1), (5, 26 * 26 * 7), (2**32 - 3, 1), (7, 2**30 + 1)])
def test_one_value_in_every_lane_and_steps_along_them(start: int, step: int) -> None:
    out_f, out_i = np.zeros(32, np.float32), np.zeros(48, np.uint32)
    picked = np.arange(8, dtype=np.float32) / 7
    _lanes()(0, 1, np.float32(-1.5), np.uint32(0xDEADBEEF), np.uint32(start), np.uint32(step), picked, out_f, out_i)
    assert (out_f[:16] == -1.5).all()
    assert (out_f[16:] == picked[3]).all()
    assert (out_i[:16] == 0xDEADBEEF).all()
    assert np.array_equal(out_i[16:32], (start + step * np.arange(16)) % 2**32)
    assert (out_i[32:] == (start + step) % 2**32).all()


@compiled_kernel("a[float 1] b[float 1] c[float 1] out[float 1]", is_shared=False)
def _arithmetic(a: Any, b: Any, c: Any, out: Any) -> None:
    x, y, z = v.load_f(a, 0), v.load_f(b, 0), v.load_f(c, 0)
    one, nothing = v.splat(np.float32(1)), v.splat(np.float32(0))
    v.store_f(out, 0, v.maximum(x, y))
    v.store_f(out, 16, v.select(v.equal(x, y), one, nothing))
    v.store_f(out, 32, v.select(v.greater(x, y), one, nothing))
    v.store_f(out, 48, v.select(v.mask_or(v.equal(x, y), v.greater(x, y)), x, z))
    v.store_f(out, 64, v.select(v.mask_and_not(v.greater(x, y), v.greater(x, z)), one, nothing))
    v.store_f(out, 80, v.select(v.no_lanes(), one, nothing))
    v.store_f(out, 96, v.add(x, y))
    v.store_f(out, 112, v.mul(x, y))
    v.store_f(out, 128, v.fma(x, y, z))
    v.store_f(out, 144, v.maximum(nothing, x))


def test_arithmetic_and_comparison() -> None:
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 16)).astype(np.float32)
    b[:3] = a[:3]
    a[3], b[4], a[5], b[5], a[6], b[7] = NAN, NAN, NAN, NAN, INF, -INF
    a[8], b[8], c[8] = 1 + 2.0**-12, 1 + 2.0**-12, -1 - 2.0**-11  # only a product kept whole leaves 2**-24
    found = np.zeros(160, np.float32)
    _arithmetic()(0, 1, a, b, c, found)
    rows = found.reshape(10, 16)
    whole = a.astype(np.float64) * b + c  # exact where no sum needs more than 53 bits, so rounded once
    expected = [
        np.where(a > b, a, b), a == b, a > b, np.where(a >= b, a, c), (a > b) & ~(a > c), np.zeros(16), a + b, a * b,
        whole.astype(np.float32), np.where(np.isnan(a), NAN, np.maximum(a, 0)),
    ]  # fmt: skip
    for row, value in zip(rows, expected, strict=True):
        np.testing.assert_array_equal(row, np.asarray(value, np.float32))
    assert rows[8, 8] == 2.0**-24


def test_relu_lets_through_what_is_no_number() -> None:
    """``maximum(0, x)`` must not turn a diverged value into 0; of two, the second is returned."""
    a = np.full(16, NAN)
    found = np.zeros(160, np.float32)
    _arithmetic()(0, 1, a, np.ones(16, np.float32), np.ones(16, np.float32), found)
    assert np.isnan(found[144:]).all()
    assert (found[:16] == 1).all()


@compiled_kernel("start low high lowest hashes[word 1] kept[float 1]", is_shared=False)
def _kept(start: Any, low: Any, high: Any, lowest: Any, hashes: Any, kept: Any) -> None:
    mixed = v.dropout_hash(v.ramp(start, np.uint32(1)), low, high)
    v.store_i(hashes, 0, mixed)
    mask = v.at_least(mixed, lowest)
    v.store_f(kept, 0, v.select(mask, v.splat(np.float32(1)), v.splat(np.float32(0))))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.999])
@pytest.mark.parametrize("key", [0, 1, 2**32, 0xFEDCBA9876543210, 2**64 - 1])
def test_masks_are_those_of_the_plain_path(key: int, rate: float) -> None:
    low, high = (np.uint32(half) for half in halves(key))
    mask = keep_mask(key, 4096, rate)
    for start in range(0, 4096, 16):
        hashes, kept = np.zeros(16, np.uint32), np.zeros(16, np.float32)
        _kept()(0, 1, np.uint32(start), low, high, np.uint32(threshold(rate)), hashes, kept)
        assert np.array_equal(kept, mask[start : start + 16])
        assert [int(word) for word in hashes] == [mix(np.uint32(start + lane), low, high) for lane in range(16)]


def test_a_hash_at_the_threshold_is_kept() -> None:
    low, high = np.uint32(3), np.uint32(4)
    hashes, kept = np.zeros(16, np.uint32), np.zeros(16, np.float32)
    _kept()(0, 1, np.uint32(0), low, high, np.uint32(0), hashes, kept)
    lane = int(np.argsort(hashes)[8])  # half of them lie below it, and of the upper half some have the highest bit
    _kept()(0, 1, np.uint32(0), low, high, hashes[lane].copy(), np.zeros(16, np.uint32), kept)
    assert np.array_equal(kept, hashes >= hashes[lane])
    assert kept[lane] == 1
    assert 0 < kept.sum() < 16


@pytest.fixture(scope="module")
def dot() -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    if not has_bfloat16():
        pytest.skip("this processor does not multiply bfloat16")

    @compiled_kernel("sums[float 1] first[word 1] second[word 1] out[float 1]", is_shared=False)
    def kernel(sums: Any, first: Any, second: Any, out: Any) -> None:
        v.store_f(out, 0, v.dot(v.load_f(sums, 0), v.load_i(first, 0), v.load_i(second, 0)))

    def call(sums: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        out = np.zeros(16, np.float32)
        kernel()(0, 1, sums.astype(np.float32), first, second, out)
        return out

    return call


def test_products_of_pairs_of_whole_numbers_are_exact(dot: Callable[..., np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-128, 128, (2, 2, 16)).astype(np.float32)  # eight bits, as many as a bfloat16 has
    sums = rng.integers(-(2**20), 2**20, 16)
    found = dot(sums, rounded(a[0]) | rounded(a[1]) << 16, rounded(b[0]) | rounded(b[1]) << 16)
    assert np.array_equal(found, sums + a[0] * b[0] + a[1] * b[1])


def test_products_of_pairs_are_summed_in_float32(dot: Callable[..., np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        a, b = (floats(rounded(rng.normal(size=(2, 16)) * 10.0 ** rng.integers(-3, 4, 16)) << 16) for _ in "ab")
        sums = rng.normal(size=16).astype(np.float32)
        found = dot(sums, bits(a[0]) >> 16 | bits(a[1]), bits(b[0]) >> 16 | bits(b[1]))
        terms = np.stack([sums, a[0].astype(np.float64) * b[0], a[1].astype(np.float64) * b[1]])
        # Two additions, each rounded once; the products of two bfloat16 are exact in float32.
        assert (np.abs(found - terms.sum(0)) <= 2 * 2.0**-24 * np.abs(terms).sum(0)).all()
