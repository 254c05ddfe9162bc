"""Fixed-point programs against exact arithmetic, counts by hand, and the network in float."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.errors import SpecError
from assay.export import write_c
from assay.export.fixed_point.arithmetic import Rescale, factor_code, scaled
from assay.export.fixed_point.program import Kernel, Table
from assay.nets.fixed_point import CODINGS, CORES, Convolve, core_of, costs_of, lower, plan
from assay.nets.fixed_point.lowering import FIXED_POINT
from assay.nets.layers.registry import WORDS
from assay.prediction.ensemble import softmax
from assay.spec.search import CORES as CORES_OF_BUDGETS

from ..contracts.test_export import CLASSES, network_of
from .fixed_networks import BLOCKS, END, NETWORKS, RECORD, SMALL, E, pictures, program_of


@pytest.mark.parametrize("bits", [8, 16])
def test_a_factor_rounds_as_the_exact_product_does(bits: int) -> None:
    """Within half a step, what the fraction's 12 bits leave of the factor, and what a sum of 18 bits leaves of it."""
    generator = np.random.default_rng(1)
    limits = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for factor in 2.0 ** generator.uniform(-24, 3, 200):
        code = np.array([factor_code(factor)], np.uint16)
        largest = min(int(2 ** (bits - 1) / factor), 2**30)
        sums = np.append(generator.integers(-largest, largest + 1, 50), [0, 2**31 - 1, -(2**31)])
        given = scaled(sums[:, None], code, bits, limits)[:, 0]
        for total, value in zip(sums.tolist(), given.tolist(), strict=True):
            exact = min(max(Fraction(factor) * total, limits[0]), limits[1])
            assert abs(value - exact) <= Fraction(1, 2) + abs(exact) / 2**12 + Fraction(2**bits, 2**18)


@pytest.mark.parametrize("factor", [0.0, -1.0, 16.0])
def test_what_is_no_factor_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="no factor"):
        factor_code(factor)


def test_rescaling_by_one_changes_nothing() -> None:
    rescale = Rescale.of([1.0, 0.25])
    values = np.arange(-128, 128)
    np.testing.assert_array_equal(rescale.of_sum(values * rescale.multipliers[0], (-128, 127)), values)


@pytest.mark.parametrize("coding", CODINGS.values(), ids=list(CODINGS))
def test_packed_weights_come_back(coding: Any) -> None:
    codes = np.random.default_rng(2).integers(0, coding.base, 101)
    values = (codes * coding.step + coding.first).astype(np.int8)
    packed = coding.pack(values)
    assert len(packed) == coding.num_bytes(101) == -(-101 // coding.per_byte)
    assert coding.base**coding.per_byte <= 256
    np.testing.assert_array_equal(coding.unpack(packed, 101), values)
    if coding.is_packed:
        with pytest.raises(ValueError, match="no code"):
            coding.pack(np.array([coding.first - coding.step], np.int8))


@pytest.mark.parametrize("name", SMALL)
def test_values_in_use_never_share_bytes(name: str) -> None:
    """Every operation reads what was written for it: no two values that are alive at once overlap."""
    layers, shape, _ = NETWORKS[name]
    for coding in ("int8", "int4"):
        graph = lower(network_of(layers, shape)[0].summary, coding)
        arena = plan(graph)
        written = {0: -1, **{one.target: index for index, one in enumerate(graph.operations)}}
        for index, one in enumerate(graph.operations):
            alive = [value for value, first in written.items() if first <= index <= graph.readers[value]]
            spans = [(arena.places[value], graph.values[value].size, value) for value in alive]
            if isinstance(one, Convolve) and one.scratch:
                spans.append((arena.scratch[index], one.scratch, -1))
            if isinstance(one, Convolve) and one.is_last:  # logits are not in the arena
                spans = [span for span in spans if span[2] != one.target]
            in_place = {one.target, *one.sources} if type(one) in graph.in_place else set()
            for at, size, value in spans:
                assert 0 <= at <= at + size <= arena.size
                for other_at, other_size, other in spans:
                    if value < other and not {value, other} <= in_place:
                        assert at + size <= other_at or other_at + other_size <= at
                    if value in one.sources and other == one.target and at == other_at:
                        assert graph.readers[value] == index  # overwritten by its last reader alone


def test_a_chain_takes_no_more_memory_than_two_neighbours() -> None:
    graph = lower(network_of(E, (28, 28, 1))[0].summary)
    sizes = [value.size for value in graph.values]
    assert sizes[:4] == [28 * 28, 26 * 26 * 10, 13 * 13 * 10, 11 * 11 * 4]
    assert plan(graph).size == sizes[1] + sizes[2] == max(a + b for a, b in itertools.pairwise(sizes))


def test_bytes_are_those_counted_by_hand() -> None:
    program, _, network = program_of(E, (28, 28, 1))
    outputs = 10 + 4 + 35 + 10
    assert network.summary.parameters == 5899
    assert (
        program.num_bytes == costs_of(program.graph).bytes == 5899 - outputs + 4 * outputs
    )  # a bias and a factor each
    quarter, _, _ = program_of(E, (28, 28, 1), coding="int2")
    kernels = [one.values.size for one in quarter.constants if isinstance(one, Kernel)]
    assert quarter.num_bytes == sum(-(-size // 4) for size in kernels) + 4 * outputs
    assert program.graph.multiply_adds == 26 * 26 * 10 * 9 + 11 * 11 * 4 * 90 + 144 * 35 + 35 * 10


@pytest.mark.parametrize("name", SMALL)
def test_estimated_bytes_are_never_too_few(name: str) -> None:
    layers, shape, dtype = NETWORKS[name]
    for coding in CODINGS:
        program, _, _ = program_of(layers, shape, dtype, coding)
        tables = sum(isinstance(one, Table) for one in program.constants)
        assert program.num_bytes <= costs_of(program.graph).bytes <= program.num_bytes + 256 * tables


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("name", SMALL)
def test_eight_bits_say_what_float_says(name: str, shifted: bool) -> None:
    layers, shape, dtype = NETWORKS[name]
    program, predictor, _ = program_of(layers, shape, dtype, shifted=shifted)
    images = pictures(300, shape, dtype)
    expected = predictor.probabilities(images)
    given = softmax(program.logits(images))
    assert np.abs(given - expected).mean() < 0.01
    assert (np.abs(given - expected).max(1) < 0.1).mean() > 0.98


def test_kernels_round_to_the_nearest_level() -> None:
    program, _, network = program_of(END, (5, 4, 1))
    (constants,) = program.constants
    assert isinstance(constants, Kernel)
    kernel, whole = network.of_layer("dense1")["kernel"], constants.values.reshape(10, -1).astype(np.float64)
    level = np.abs(kernel).max(1, keepdims=True) / 127
    assert (np.abs(whole).max(1) == 127).all()
    assert (np.abs(whole * level - kernel) <= 0.5001 * level).all()


def test_a_table_is_stored_once_for_all_layers() -> None:
    program, _, _ = program_of(RECORD, (14, 14, 1))
    assert len({one.values.tobytes() for one in program.constants if isinstance(one, Table)}) == 1
    assert sum(isinstance(one, Table) for one in program.constants) == 3


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            ["conv 200 1x1", "groupnorm 2", "instancenorm", "groupnorm 1", "globalmaxpool", "dense classes softmax"],
            r'groupnorm2 \("groupnorm 1"\) normalizes 39,200 values at once, and C takes 32,768 at most',
        ),
        (["conv 32 3x3", "flatten", "dense 40", "dense classes softmax"], "a C header holds 100,000 at most"),
    ],
)
def test_what_c_does_not_hold_is_said(layers: list[Any], message: str, tmp_path: Path) -> None:
    network, _ = network_of(layers, (14, 14, 1))
    with pytest.raises(SpecError, match=message):
        write_c(network, tmp_path / "model.h", pictures(5, (14, 14, 1)), "no")
    assert not (tmp_path / "model.h").exists()


def test_every_layer_word_has_c_code_and_the_docs_list_it() -> None:
    joins = {"add", "concatenate"}  # of blocks; no words of a study
    assert set(FIXED_POINT.words) == set(WORDS) | joins
    docs = (Path(__file__).parents[2] / "docs" / "guides" / "microcontrollers.md").read_text(encoding="utf-8")
    table = docs.split("## Layers that C export supports")[1].split("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", table)) >= set(WORDS) - {"activation"}


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc here")
def test_labels_are_c_strings(tmp_path: Path) -> None:
    network, _ = network_of(END, (4, 4, 1))
    write_c(network, tmp_path / "model.h", pictures(5, (4, 4, 1)), "labels")
    body = "int main(void) { for (int k = 0; k < MODEL_CLASSES; k++) puts(model_labels[k]); }"
    (tmp_path / "main.c").write_text(f'#include <stdio.h>\n#include "model.h"\n{body}')
    subprocess.run(["gcc", "main.c", "-o", "main"], cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout.decode()
    assert printed.splitlines() == CLASSES


def test_headers_hold_no_float_and_no_heap(tmp_path: Path) -> None:
    network, _ = network_of(BLOCKS, (9, 8, 2))
    write_c(network, tmp_path / "model.h", pictures(20, (9, 8, 2)), "blocks")
    code = (tmp_path / "model.h").read_text()
    assert not any(word in code.split("*/", 1)[1] for word in ("float", "double", "malloc", "math.h"))


def test_a_core_that_is_not_known_lists_those_that_are() -> None:
    assert tuple(CORES) == CORES_OF_BUDGETS
    with pytest.raises(SpecError, match=r"cortex-m5.*known cores: cortex-m0\+, cortex-m4, cortex-m7, rv32ec"):
        core_of("cortex-m5")


def test_time_grows_with_the_network() -> None:
    small, large = (costs_of(lower(network_of(layers, (14, 14, 1))[0].summary)) for layers in (END, RECORD))
    for core in CORES:
        assert 0 < small.microseconds[core] < large.microseconds[core]
    assert large.microseconds["cortex-m7"] < large.microseconds["cortex-m4"] < large.microseconds["rv32ec"]
