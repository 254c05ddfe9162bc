"""Instructions of the C functions of fixed-point programs on each core, fitted to what QEMU counts.

    python benchmarks/count_instructions.py            # prints the tables of src/assay/nets/fixed_point/cores.py
    python benchmarks/count_instructions.py normalize  # fits the parts of that function alone, the others kept

Needs the packages gcc-arm-none-eabi, gcc-riscv64-unknown-elf and qemu-user of Debian 12. Each of some small networks
is compiled for each core, and run on random images; least squares of relative errors give the instructions for each
part of a function, none below zero. How far the fit is from the counts is printed first.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.contracts.test_export import images_of, network_of
from tests.export.emulated import TARGETS, built, instructions

from assay.export.fixed_point import quantize, source_of
from assay.nets.fixed_point import CORES
from assay.nets.fixed_point.costs import work_of

END = ["flatten", "dense classes softmax"]
SMALL, LARGE = (9, 8, 3), (20, 20, 1)


def networks() -> Iterator[tuple[list[Any], tuple[int, int, int], str]]:
    """Layers, shape and coding: each function alone, or nearly."""
    for shape in (SMALL, LARGE):
        for coding in ("int8", "int4", "int2", "ternary"):
            yield END, shape, coding
            yield ["flatten", "dense 40 relu", "dense classes softmax"], shape, coding
            yield ["conv 4 3x3 relu", *END], shape, coding
            yield ["conv 6 3x3 padding=same relu", "conv 12 1x1 relu", *END], shape, coding
            yield ["depthwise 3x3 multiplier=3", "globalmaxpool", "dense classes softmax"], shape, coding
            yield ["conv 6 1x1", "depthwise 5x5 padding=same", *END], shape, coding
        for channels in (2, 7):
            for kernel in ("2x2", "5x5"):
                yield [f"conv {channels} 1x1", f"depthwise {kernel}", *END], shape, "int8"
                yield [f"conv {2 * channels} 1x1", f"conv 6 {kernel} groups=2", *END], shape, "int8"
            for pool in ("maxpool", "avgpool"):
                yield [f"conv {channels} 1x1", f"{pool} 4 stride=1", *END], shape, "int8"
                yield [f"conv {channels} 1x1", f"{pool} 3 stride=3 padding=1", *END], shape, "int8"
        yield ["conv 5 5x5 stride=2 relu", *END], shape, "int8"
        yield ["conv 8 2x2 padding=same", "conv 8 3x3", *END], shape, "int8"
        yield ["conv 6 1x1", "conv 6 3x3 groups=2", *END], shape, "int8"
        yield ["conv 6 1x1", "conv 6 2x2 dilation=2", *END], shape, "int8"
        for pool in ("maxpool", "avgpool"):
            yield ["conv 6 1x1", f"{pool} 2", *END], shape, "int8"
            yield [f"{pool} 3 stride=1 padding=same", *END], shape, "int8"
            yield ["conv 8 1x1", f"global{pool}", "dense classes softmax"], shape, "int8"
        for activation in ("elu", "tanh", "leakyrelu"):
            yield ["conv 5 1x1", activation, *END], shape, "int8"
            yield ["conv 2 1x1", "maxpool 2", activation, "activation linear", *END], shape, "int8"
            yield ["conv 12 2x2", activation, *END], shape, "int8"
        yield ["conv 8 1x1", "maxpool 2", "relu", *END], shape, "int8"
        yield ["conv 8 1x1", "maxpool 2", "relu6", *END], shape, "int8"
        yield ["zeropad 3", *END], shape, "int8"
        yield ["zeropad 1", "zeropad 1", *END], shape, "int8"
        yield ["conv 6 1x1", {"residual": ["conv 6 1x1"]}, *END], shape, "int8"
        yield (
            ["conv 4 1x1", {"parallel": [["conv 4 1x1"], ["conv 4 3x3 padding=same"], []], "join": "add"}, *END],
            shape,
            "int8",
        )
        yield ["conv 4 1x1", {"parallel": [["conv 4 1x1"], []]}, *END], shape, "int8"
        for channels in (2, 8):
            for norm in ("layernorm", "groupnorm 1", "groupnorm 2", "instancenorm"):
                if norm != f"groupnorm {channels}":
                    yield [f"conv {channels} 1x1", norm, *END], shape, "int8"


def main(function: str = "") -> None:
    """Counts, fits and prints.

    Args:
        function: The only function whose parts are fitted; all if empty.
    """
    from scipy.optimize import nnls

    rows, counts = [], {core: [] for core in TARGETS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for layers, shape, coding in networks():
            network, _ = network_of(layers, shape)
            images = images_of(64, shape, "uint8")
            program = quantize(network, images, coding)
            work = work_of(program.graph, program.bit_lengths)
            if not any(part.startswith(function) for part in work):
                continue
            rows.append(work)
            for core, target in TARGETS.items():
                path = built(target, source_of(program, core), folder / core)
                counts[core].append(instructions(target, path, images[:3], folder))
            print(".", end="", file=sys.stderr, flush=True)
    parts = sorted({part for row in rows for part in row})
    table = np.array([[row[part] for part in parts] for row in rows], np.float64)
    columns = []
    for core, values in counts.items():
        counted = np.array(values)
        fitted = np.array([CORES[core].instructions.get(part, 0.0) for part in parts])
        used = [
            index
            for index, part in enumerate(parts)
            if part.startswith(function) and (part != "bit" or core == "rv32ec")
        ]
        fitted[used] = 0
        rest = counted - table @ fitted
        fitted[used] = nnls(table[:, used] / counted[:, None], rest / counted)[0]
        columns.append(fitted)
        errors = np.abs(table @ fitted / counted - 1)
        print(f"# {core}: {errors.mean():.1%} off on average, {errors.max():.1%} at most")
    for part, row in zip(parts, np.array(columns).T, strict=True):
        if part.startswith(function):
            print(f'    "{part}": ({", ".join(f"{value:.1f}" for value in row)}),')


if __name__ == "__main__":
    main(*sys.argv[1:2])
