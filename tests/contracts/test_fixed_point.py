"""One network, three computers: NumPy, C on this machine and C in an emulator give the same bits on 1,000 images."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from assay.export.fixed_point import quantize, source_of
from assay.nets.fixed_point import CODINGS, CORES, costs_of

from ..export.emulated import TARGETS, answers, built, instructions, target_of
from ..export.fixed_networks import BLOCKS, NETWORKS, NORMS, RECORD, E, host_answers, pictures, program_of
from ..export.test_trained_codes import CASES as TRAINED_CASES
from ..export.test_trained_codes import settled

TRAINED = [*TRAINED_CASES]

CASES = [
    *((name, "int8", False) for name in ("normed", "blocks", "norms", "pooled")),
    ("record", "int4", True), ("blocks", "ternary", False), ("pooled", "int2", False),
]  # fmt: skip
SLOW = [(name, coding, shifted) for name in NETWORKS for coding in CODINGS for shifted in (False, True)]


def slow(cases: list[tuple[str, str, bool]]) -> list[object]:
    return [pytest.param(*case, marks=pytest.mark.slow) for case in cases if case not in CASES]


def test_every_core_has_an_emulator() -> None:
    assert set(TARGETS) == set(CORES)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc here")
@pytest.mark.parametrize(("name", "coding", "shifted"), [*CASES, *slow(SLOW)])
def test_c_on_this_machine_gives_the_bits_of_numpy(name: str, coding: str, shifted: bool, tmp_path: Path) -> None:
    layers, shape, dtype = NETWORKS[name]
    program, _, _ = program_of(layers, shape, dtype, coding, shifted=shifted)
    images = pictures(1000, shape, dtype)
    expected = program.whole_logits(images)
    assert len(np.unique(expected, axis=0)) > 100
    given = host_answers(source_of(program, "A title */ that would end the comment"), tmp_path, program.stored(images))
    np.testing.assert_array_equal(given, expected)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc here")
@pytest.mark.parametrize("name", ["record", *(pytest.param(name, marks=pytest.mark.slow) for name in TRAINED[1:])])
def test_c_gives_the_bits_of_numpy_for_networks_that_were_trained_so(name: str, tmp_path: Path) -> None:
    words, shape, settings = TRAINED_CASES[name]
    network, _ = settled(words, shape, settings)
    images = pictures(1000, shape)
    program = quantize(network, images[:50])
    expected = program.whole_logits(images)
    assert len(np.unique(expected, axis=0)) > 10
    np.testing.assert_array_equal(host_answers(source_of(program, name), tmp_path, images), expected)


@pytest.mark.parametrize(("core", "name", "coding"), [
    ("cortex-m4", "blocks", "int8"),
    ("rv32ec", "pooled", "int4"), ("rv32ec", "norms", "int4"),
    *(
        pytest.param(core, name, coding, marks=pytest.mark.slow)
        for core in CORES
        for name, coding in (
            *(("blocks", "int8"), ("norms", "int8"), ("norms", "ternary"), ("record", "int8")),
            *(("normed", "int2"), ("record", "ternary")),
        )
        if (core, name, coding) != ("cortex-m4", "blocks", "int8")
    ),
])  # fmt: skip
def test_an_emulated_core_gives_the_bits_of_numpy(core: str, name: str, coding: str, tmp_path: Path) -> None:
    target = target_of(core)
    layers, shape, dtype = NETWORKS[name]
    program, _, _ = program_of(layers, shape, dtype, coding)
    images = pictures(1000, shape, dtype)
    path = built(target, source_of(program, core), tmp_path)
    np.testing.assert_array_equal(answers(target, path, program.stored(images)), program.whole_logits(images))


ESTIMATED = [
    ("record", RECORD, (28, 28, 1), "int8"), ("document E's", E, (28, 28, 1), "int8"),
    ("blocks", BLOCKS, (16, 16, 3), "int8"), ("packed", RECORD, (20, 20, 1), "int4"),
    ("norms", NORMS, (14, 15, 2), "int8"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("core", "name"),
    [
        pytest.param(core, name, marks=() if (core, name) in DEFAULT else pytest.mark.slow)
        for DEFAULT in [{("cortex-m4", "record"), ("rv32ec", "document E's"), ("cortex-m0+", "packed")}]
        for core in CORES
        for name, *_ in ESTIMATED
    ],
)
def test_estimated_instructions_are_near_those_counted(core: str, name: str, tmp_path: Path) -> None:
    """Networks that the tables of ``cores.py`` were not fitted to; before training, weights' bits are a guess."""
    target = target_of(core)
    layers, shape, coding = next(rest for other, *rest in ESTIMATED if other == name)
    program, _, _ = program_of(layers, shape, "uint8", coding)
    path = built(target, source_of(program, core), tmp_path)
    counted = instructions(target, path, pictures(3, shape, "uint8"), tmp_path)
    assert costs_of(program.graph).instructions[core] == pytest.approx(counted, rel=0.2)
    assert costs_of(program.graph, bit_lengths=program.bit_lengths).instructions[core] == pytest.approx(
        counted, rel=0.2
    )
