"""Lowered functions against Python's own run of the same source."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from assay.train.fused import compiler
from assay.train.fused.compiler import compiled, kernel

SEVEN = 7


def _doubled(value: Any) -> Any:
    """What a kernel calls."""
    value += 0
    return 2 * value


@kernel("numbers[long 1] others[long 1] out[long 2]", is_shared=False)
def _integers(numbers: Any, others: Any, out: Any) -> None:
    for i in range(len(numbers)):
        a, b = numbers[i], others[i]
        out[0, i] = a // b
        out[1, i] = a % b
        out[2, i] = max(a, b, 3) - min(a, b) + abs(a)
        out[3, i] = _doubled(a) + SEVEN if a > b else -b
        out[4, i] = (a << 2) ^ (b & 255) | 1
        out[5, i] = int(a == b) + int(not a)
        out[6, i] = -a >> 1


@kernel("numbers[long 1] out[long 1]", is_shared=False)
def _flow(numbers: Any, out: Any) -> None:
    """A search with every way out of a loop."""
    count = 0
    for i in range(len(numbers) - 1, -1, 1):  # no turn at all
        count += 1000 * i
    for i in range(1, len(numbers), 3):
        if numbers[i] < 0:
            continue
        if numbers[i] > 90:
            break
        count += numbers[i]
    steps = 0
    while steps * steps < count:
        steps += 1
        if steps > 12:
            break
    # The second half would read far out of bounds.
    if len(numbers) < 1 or (numbers[0] == 5 and numbers[1] != 5):
        out[0], out[1] = count, steps
        return
    out[0], out[1] = -1, -1


@kernel(
    "values[float 1] scale:single shift:real words[word 1] bytes[byte 1] singles[float 2] out[double 1]",
    is_shared=False,
)
def _numbers(values: Any, scale: float, shift: float, words: Any, bytes: Any, singles: Any, out: Any) -> None:
    total = 0.0
    for i in range(values.size):
        singles[0, i] = values[i] * scale  # in float32
        singles[1, i] = values[i] * shift  # in float64, rounded once
        singles[2, i] = np.float32(bytes[i]) / np.float32(3)
        singles[3, i] = np.exp(values[i]) + math.sqrt(abs(values[i]))
        total += values[i]
        out[i] = words[i] + words[i] * 2 + bytes[i] / 2
        words[i] = np.uint32(words[i] * 2654435761)
    out[values.size] = total
    out[values.size + 1] = max(total / 0.0 if shift < 0 else np.inf, 1.0)


@kernel("source[float 1] rows columns target[float 1]", is_shared=False)
def _arrays(source: Any, rows: int, columns: int, target: Any) -> None:
    kept = np.zeros((2, rows, columns), np.float32)
    fixed = np.empty(4, np.float32)
    fixed[:] = 0.5
    height = kept.shape[1]
    for i in range(height):
        line = kept[1, i]
        part = source[i * columns :][:columns]
        for j in range(len(part)):
            line[j] = part[j]
            kept[0][i, j] -= part[columns - 1 - j]
    sums = kept.view(np.uint32)
    for i in range(rows):
        for j in range(columns):
            target[i * columns + j] = kept[0, i, j] + kept[1, i, j] * fixed[j % 4]
            if sums[1, i, j] == 0:
                target[i * columns + j] = -1


def test_integers_divide_shift_and_compare_as_in_python() -> None:
    rng = np.random.default_rng(0)
    numbers, others = rng.integers(-20, 21, (2, 500))
    others[others == 0] = 9
    found, expected = np.zeros((2, 7, 500), np.int64)
    _integers()(0, 1, numbers, others, found)
    _integers.plain(numbers, others, expected)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "numbers", [[], [5, 1, 8, 9, 70, 4, 4, 33], [5, 1, 91, 9, 95], [5, 5], [4, 1, 2], [5, -1, 0, 0, -9]]
)
def test_loops_and_branches_end_where_they_do_in_python(numbers: list[int]) -> None:
    found, expected = np.zeros((2, 2), np.int64)
    values = np.array(numbers, np.int64)
    _flow()(0, 1, values, found)
    _flow.plain(values, expected)
    assert np.array_equal(found, expected)


def test_numbers_are_promoted_and_rounded_as_in_numpy() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=40).astype(np.float32)
    octets = rng.integers(0, 256, 40, dtype=np.uint8)
    words = rng.integers(0, 2**31, 40, dtype=np.uint32)
    changed = words.copy()
    singles, out = np.zeros((4, 40), np.float32), np.zeros(42)
    _numbers()(0, 1, values, 1.1, 1.1, changed, octets, singles, out)
    assert np.array_equal(singles[0], values * np.float32(1.1))
    assert np.array_equal(singles[1], (values.astype(np.float64) * 1.1).astype(np.float32))
    assert np.array_equal(singles[2], octets.astype(np.float32) / np.float32(3))
    np.testing.assert_allclose(singles[3], np.exp(values) + np.sqrt(np.abs(values)), rtol=3e-7)
    assert np.array_equal(out[:40], 3 * words.astype(np.int64) + octets / 2)
    assert out[40] == sum(map(float, values))
    assert out[41] == np.inf
    assert np.array_equal(changed, words * np.uint32(2654435761))


def test_arrays_have_shapes_slices_and_other_views() -> None:
    rng = np.random.default_rng(0)
    source = rng.normal(size=30 * 200).astype(np.float32)  # 12,000 numbers: from the heap
    source[17] = 0
    found, expected = np.zeros((2, len(source)), np.float32)
    _arrays()(0, 1, source, 30, 200, found)
    _arrays.plain(source, 30, 200, expected)
    assert np.array_equal(found, expected)
    assert found[17] == -1


def test_words_of_a_kernel_that_is_not_shared_are_the_first_parts() -> None:
    found = np.zeros(2, np.int64)
    _flow()(1, 2, np.array([5, 1, 2]), found)
    assert not found.any()


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("    x[0] = undefined\n", SyntaxError, "undefined has no value"),
        ("    total = 0\n    total = 0.5\n", TypeError, "total holds i64"),
        ("    for v in x:\n        x[0] = 1\n", SyntaxError, "a kernel's loop is over a range, not x"),
        ("    for i in range(n):\n        m = np.empty(8, np.float32)\n", SyntaxError, "outside loops"),
        ("    x[0] = n ** 2\n", SyntaxError, "cannot use Pow"),
        ("    x[0] = 0 < n < 2\n", SyntaxError, "two values at a time"),
        ("    x[0] = fma(load_f(x, 0), 1.0)\n", TypeError, "fma takes 3 arguments, got 2"),
        ("    store_f(x, 0, n)\n", TypeError, "i64 is no <16 x float>"),
        ("    x[0] = [1, 2]\n", SyntaxError, "cannot use \\[1, 2\\]"),
        ("    x[0] = sorted(n)\n", SyntaxError, "cannot call sorted"),
    ],
)
def test_what_a_kernel_cannot_use_is_named(body: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compiled("refused", "x[] n", body).machine  # noqa: B018


def test_spoiled_machine_code_is_made_again(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flipped bit in a kept file would otherwise be run."""
    monkeypatch.setenv("ASSAY_KERNELS", str(tmp_path))
    source = "    x[0] = x[0] + 2\n"
    first = compiler._compiled.__wrapped__("spoiled", "x[]", source, ())
    assert not first.machine.is_cached
    (path,) = tmp_path.rglob("*.o")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    again = compiler._compiled.__wrapped__("spoiled", "x[]", source, ())
    assert not again.machine.is_cached
    x = np.zeros(1, np.float32)
    again(0, 1, x)
    assert x[0] == 2
    assert path.read_bytes() != content
