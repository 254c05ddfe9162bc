"""Microcontroller cores by name: what the C functions take on them.

Instructions were counted in an emulator (QEMU's user mode) of programs that GCC 12 compiled with -O2, and fitted to the
loops of ``costs.py``: ``benchmarks/count_instructions.py`` does it again. Cycles for each instruction are an assumption
of ours, from what the makers' manuals say of loads, branches and waits for flash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import Problem, SpecError


@dataclass(frozen=True)
class Core:
    """A core.

    Args:
        title: What to call it.
        megahertz: A clock that is usual for it.
        cycles: Cycles for each instruction, on average: an assumption.
        instructions: By part of a C function, as ``costs.py`` counts them.
    """

    title: str
    megahertz: float
    cycles: float
    instructions: Mapping[str, float]


# By part of a C function: instructions on a Cortex-M0+, M4, M7 and an RV32EC.
_INSTRUCTIONS: Mapping[str, tuple[float, float, float, float]] = {
    "add.term": (20.4, 11.4, 11.4, 103.9),
    "add.value": (34.7, 30.5, 30.4, 53.7),
    "bit": (0.0, 0.0, 0.0, 5.6),
    "call": (40.7, 0.0, 0.0, 228.4),
    "concatenate": (41.7, 32.1, 34.1, 121.5),
    "conv.channel": (327.1, 240.0, 241.5, 359.8),
    "conv.multiply": (7.2, 5.1, 5.1, 16.1),
    "conv.output": (109.7, 85.9, 83.9, 169.1),
    "conv.row": (7.3, 9.6, 9.6, 20.2),
    "cut": (16.1, 8.8, 8.7, 12.7),
    "dense.channel": (33.0, 31.4, 31.2, 13.9),
    "dense.multiply": (7.0, 5.0, 5.0, 15.7),
    "dense.output": (75.3, 46.5, 46.5, 138.3),
    "depthwise.channel": (287.5, 327.0, 299.7, 431.8),
    "depthwise.multiply": (12.5, 5.2, 4.9, 16.9),
    "depthwise.output": (132.0, 69.3, 63.8, 162.0),
    "depthwise.row": (0.0, 17.0, 19.3, 23.5),
    "elu": (8.5, 12.6, 9.6, 10.6),
    "grouped.channel": (150.2, 155.4, 145.0, 0.0),
    "grouped.multiply": (7.1, 5.0, 5.0, 16.3),
    "grouped.output": (144.4, 115.7, 106.7, 350.3),
    "grouped.tap": (33.1, 18.7, 18.4, 38.4),
    "maximum.output": (32.2, 13.0, 13.1, 8.6),
    "maximum.row": (2.5, 6.2, 6.2, 5.1),
    "maximum.tap": (13.3, 8.3, 8.3, 10.5),
    "maximum.window": (29.7, 33.1, 30.2, 50.8),
    "mean.output": (34.2, 36.3, 36.3, 125.9),
    "mean.row": (11.2, 3.4, 3.5, 12.6),
    "mean.tap": (6.0, 6.7, 6.7, 2.5),
    "mean.window": (76.5, 39.7, 35.0, 128.0),
    "normalize.run": (17.2, 10.7, 10.7, 18.0),
    "normalize.set": (521.9, 252.7, 237.0, 699.1),
    "normalize.value": (61.6, 42.3, 42.3, 278.6),
    "pad.copy": (6.7, 5.4, 5.4, 5.1),
    "pad.value": (2.7, 2.1, 2.1, 3.4),
    "slope": (8.6, 7.7, 7.7, 11.5),
    "table": (9.4, 6.9, 6.9, 8.6),
    "unpack.int2": (19.9, 18.7, 20.0, 25.3),
    "unpack.int4": (17.2, 17.0, 18.5, 23.1),
    "unpack.ternary": (22.7, 17.5, 17.7, 22.7),
}


def _counted(column: int) -> Mapping[str, float]:
    return {part: counts[column] for part, counts in _INSTRUCTIONS.items()}


CORES: Mapping[str, Core] = {
    "cortex-m0+": Core("Arm Cortex-M0+", 48, 1.5, _counted(0)),
    "cortex-m4": Core("Arm Cortex-M4", 64, 1.4, _counted(1)),
    "cortex-m7": Core("Arm Cortex-M7", 216, 0.8, _counted(2)),
    "rv32ec": Core("RISC-V RV32EC, without multiplication", 48, 1.5, _counted(3)),
}


def core_of(name: str) -> Core:
    """A core by name.

    Raises:
        SpecError: It is not known; the sentence lists those that are.
    """
    if name not in CORES:
        raise SpecError(Problem(f'there is no core "{name}"', f"known cores: {', '.join(CORES)}"))
    return CORES[name]
