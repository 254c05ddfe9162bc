"""What the benchmark counts, and how its report chooses; nothing is timed here."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from assay.nets import parse, summarize
from assay.spec import Study

FOLDER = Path(__file__).parents[1] / "benchmarks"
MODULES = ("bounds", "cost", "probes", "report", "roster", "samples", "tables", "targets", "chart")


class Modules:
    """The benchmark's modules, by name: they are scripts side by side, and no package."""

    def __getattr__(self, name: str) -> ModuleType:
        return importlib.import_module(name)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(FOLDER))
    yield Modules()
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("key", "ACEVRM")
def test_counts_are_those_of_assays_own_summary(bench: Any, key: str) -> None:
    probe = bench.probes.PROBES[key]
    (arm,) = Study.of({"name": "probe", "data": {"name": "mnist"}, "network": {"layers": list(probe.layers)}}).expand()
    rows = summarize(parse(arm.layers), probe.shape, 10).layers
    own = [row for row in rows if row.word.split()[0] in ("conv", "depthwise", "dense")]
    biases = sum(row.output_shape[-1] for row in own if "bias=false" not in row.word)
    blocks = bench.cost.blocks_of(probe)
    assert sum(block.weights for block in blocks) + biases == sum(row.parameters for row in own)
    # Assay's summary also counts biases and activations: a few operations for each output.
    flops = 2 * sum(block.macs for block in blocks)
    assert 0.96 < flops / sum(row.flops for row in own) <= 1
    assert [block.is_first for block in blocks] == [True] + [False] * (len(blocks) - 1)


def test_arithmetic_and_traffic_by_hand(bench: Any) -> None:
    """A convolution (6x6x2 from 8x8x1) with normalization, one of 1x1 in a residual block, a dense layer."""
    block = {"residual": ["conv 2 1x1 bias=false"], "activation": "relu"}
    layers = ("conv 2 3x3 relu", "batchnorm", block, "flatten", "dense 10 softmax")
    probe = bench.probes.Probe("X", "", "", "unit", 4, "sgd", 0.1, layers, (8, 8, 1))
    macs = (36 * 2 * 9, 36 * 2 * 2, 72 * 10)
    assert bench.cost.training_flops(probe) == 2 * (2 * macs[0] + 3 * macs[1] + 3 * macs[2])
    first = 72 + 72 + 72 + (2 * 72) + (3 * 72) + 72  # y, y, z; sums; dz, y to dy; dy
    second = (72 + 72) + (72 + 72) + 72 + 3 * 72 + 4 * 72 + 72  # x, y; y, z; other; dz, y to dy; gradients; dx
    third = (72 + 10) + 3 * 10 + (72 + 10) + (10 + 72)
    weights = 18 + 4 + 720
    images = 64 * 13
    for size in (2, 4):
        expected = 4 * (images + size * (first + second + third)) + weights * (3 * size + 4 + 4 * 3)
        assert bench.cost.training_bytes(probe, size) == expected


def sample(system: str, seconds: float, precision: str = "float32", **more: Any) -> dict[str, Any]:
    result = {
        "epoch_seconds": [2 * seconds],  # two side by side share an epoch's time
        "precision": precision,
        "threads": 1,
        "images": 60_000,
        "peak_memory_bytes": 1e8,
        "shared_data_bytes": 0,
        "versions": {},
    }
    about = {"round": 1, "probe": "A", "variant": "eager", "precision": precision, "load_before": 0.0}
    return {**about, "system": system, "processes": 2, "results": [result, result], **more}


def raw(**parts: Any) -> dict[str, Any]:
    about = {"processor": "P", "family_and_model": "6 1", "cores": 2, "memory_gigabytes": 8, "flags": [], "python": "3"}
    about |= {"is_virtual": False, "system": "Linux"}
    empty: dict[str, Any] = {name: [] for name in ("samples", "heats", "roofline", "first_use", "studies", "notes")}
    fixed = {"date": "2026-01-01", "is_smoke": False, "target": "native", "rounds": 1, "epochs": 1, "machine": about}
    return {**empty, **fixed, "assay": {"revision": "r", "version": "v"}, **parts}


def test_a_rival_enters_in_its_better_precision_unless_it_is_far_behind(bench: Any) -> None:
    heats = [
        sample("torch-eager", 12.0, "bfloat16"),
        sample("torch-eager", 9.0, "float32"),
        sample("tensorflow-tuned", 17.9, "bfloat16"),
        sample("jax-tuned", 18.1, "float32"),
        sample("keras-tensorflow", 1.0),
        sample("torch-eager", 1.0, "bfloat16", probe="C"),
    ]
    entered = bench.samples.entering(raw(heats=heats), bench.roster.PACKED, "A")
    assert {name: heat["precision"] for name, heat in entered.items()} == {
        "torch-eager": "float32",
        "tensorflow-tuned": "bfloat16",
    }


@pytest.mark.parametrize(("target", "goal", "met"), [("native", "1.8", "**missed**"), ("avx2", "1.3", "met")])
def test_goals_follow_the_target_and_name_the_rivals_precision(bench: Any, target: str, goal: str, met: str) -> None:
    samples = [sample("assay-packed", 2.0), sample("torch-eager", 3.0), sample("tensorflow-tuned", 5.0, "bfloat16")]
    page = bench.report.markdown(raw(samples=samples, target=target), "raw.json", "chart.svg")
    (row,) = [line for line in page.splitlines() if "best tuned rival" in line]
    assert "| 2.00 | PyTorch eager tuned, float32 | 3.00 | **1.50** |" in row
    assert f"| {goal} | {met} | 1 |" in row
    assert ("NUMBA_CPU_NAME=haswell" in page) == (target == "avx2")


def test_the_higher_bound_is_what_counts(bench: Any) -> None:
    probe = bench.probes.PROBES["A"]
    flops, moved = bench.cost.training_flops(probe) * 128, bench.cost.training_bytes(probe, 4)
    steps = 60_000 / 128

    def row(gflops: float, gigabytes: float, registers: dict[str, float]) -> str:
        ceilings = {
            "matmul_float32_gflops": gflops,
            "matmul_bfloat16_gflops": 1,
            "copy_gigabytes_per_second": gigabytes,
        }
        one = {"round": 1, "threads": {"1": ceilings, "2": ceilings}, "registers": registers}
        taken = sample("assay-packed", 0.020 * steps)  # 20 ms a step
        (line,) = [
            line for line in bench.bounds.bounds(raw(samples=[taken], roofline=[one])).splitlines() if "| A |" in line
        ]
        return str(line)

    # 16 ms of arithmetic and 10 ms of traffic; then registers twice as fast on two cores, so that traffic bounds.
    gflops, gigabytes = flops / 16e6, moved / 10e6
    assert "| 16.00 | 10.00 | arithmetic | 20.00 | **80 %** | 75 % | met |" in row(gflops, gigabytes, {})
    faster = {"float32": gflops, "bfloat16": 1.0}
    assert "| 8.00 | 10.00 | traffic | 20.00 | **50 %** | 75 % | **missed** |" in row(gflops, gigabytes, faster)


def test_bfloat16_is_tried_only_where_it_is_multiplied(bench: Any) -> None:
    eager = next(rival for rival in bench.roster.RIVALS if rival.name == "torch-eager")
    assert bench.targets.can_round("native", ["avx512_bf16"])
    assert not bench.targets.can_round("avx2", ["avx512_bf16"])
    assert ("eager", "bfloat16") in eager.choices("V", can_round=True)
    assert {precision for _, precision in eager.choices("V", can_round=False)} == {"float32"}


def test_kernels_for_avx2_have_no_wider_vectors_and_no_bfloat16(bench: Any) -> None:
    code = "from assay.train.device import kernels_round; from assay.train.fused.vectors import REGISTERS\n"
    code += "from assay.train.fused.target import target; print(kernels_round(), REGISTERS, target().has('avx512f'))"
    environment = {**os.environ, **bench.targets.TARGETS["avx2"]}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert process.stdout.split() == ["False", "8", "False"]


def test_the_scripts_need_nothing_but_the_standard_library_to_say_what_they_take() -> None:
    command = [sys.executable, "-S", str(FOLDER / "bench.py"), "--help"]
    process = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""}, check=True)
    for option in ("--target", "--resume", "--minutes"):
        assert option in process.stdout
