"""Draws front.png and front-bytes.png beside it, accuracy on MNIST against parameters and against bytes.

    python docs/evidence/make_front.py [STORE ...]

The records and record-front are taken from the first store that has them, and must have been revealed there; one that
no store has keeps the points that are in front.json. A point is an arm's mean test accuracy over its seeds, with the
95 % interval of that mean, in percent to two digits. Bytes of a network that was trained in whole numbers are those of
its C program's constants; any other has 4 for each parameter.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import assay
from assay.analysis import arm_scores
from assay.nets.fixed_point import costs_of, lower

RECORDS = ("record-700", "record-2000", "record-6000")
FRONT = "record-front"
IN_BYTES = ("record-1kb", "record-3kb", "record-8kb")
STUDIES = (*RECORDS, FRONT, *IN_BYTES)
HERE = Path(__file__).parent
KEPT = HERE / "front.json"
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#595959"

# github.com/cpldcpu/BitNetMCU says so: bytes of weights, test accuracy. It has no validation split.
BITNETMCU = ((1100, 94.22), (3200, 98.92), (5400, 99.06), (7300, 99.28), (9300, 99.44), (11000, 99.55))


@dataclass(frozen=True)
class Point:
    """An arm's network and its score on the test split, in percent."""

    parameters: int
    bytes: int
    mean: float
    low: float
    high: float
    n: int


def points_of(study: str, store: Path) -> list[Point]:
    """One for each arm, smallest network first."""
    result = assay.result(study, store=store)
    networks = assay.describe(assay.load(study))
    found = []
    for arm in arm_scores(result.record, split="test"):
        assert arm.interval is not None, f"{study}: {arm.arm} has fewer than two test scores; run and reveal it first"
        interval = arm.interval.mean, arm.interval.low, arm.interval.high
        mean, low, high = (round(100 * value, 2) for value in interval)
        parameters = networks[arm.arm].parameters
        size = costs_of(lower(networks[arm.arm])).bytes if study in IN_BYTES else 4 * parameters
        found.append(Point(parameters, size, mean, low, high, arm.n))
    return sorted(found, key=lambda point: point.parameters)


def draw(points: list[Point], ax: Axes, *, against: str, is_above: bool, colour: str, marker: str, label: str) -> None:
    """Points with their intervals, and the accuracy of each above or below it.

    Args:
        against: ``"parameters"`` or ``"bytes"``.
    """
    sizes = [getattr(point, against) for point in points]
    ax.errorbar(
        sizes,
        [point.mean for point in points],
        yerr=[[point.mean - point.low for point in points], [point.high - point.mean for point in points]],
        fmt=marker, color=colour, markersize=7, capsize=4, elinewidth=1.6, label=label,
    )  # fmt: skip
    for size, point in zip(sizes, points, strict=True):
        ax.annotate(
            f"{point.mean:.2f} %", (size, point.high if is_above else point.low),
            xytext=(0, 6 if is_above else -6), textcoords="offset points", ha="center",
            va="bottom" if is_above else "top", fontsize=9, color=colour,
        )  # fmt: skip


def axes(unit: str, ticks: list[int]) -> tuple[Figure, Axes]:
    """A picture of accuracy against sizes on a logarithmic axis."""
    figure, ax = plt.subplots(figsize=(8, 4.6), dpi=150, layout="constrained")
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlabel(unit)
    ax.set_ylabel("MNIST test accuracy, %")
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    return figure, ax


def draw_parameters(tuned: list[Point], others: list[Point]) -> None:
    figure, ax = axes(
        "parameters (Keras's total)", [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000]
    )
    label = f"record-front, n = {others[0].n}: widths set beforehand"
    draw(others, ax, against="parameters", is_above=False, colour=BLUE, marker="o", label=label)
    label = f"records, n = {tuned[0].n}: tuned on validation for their budget"
    draw(tuned, ax, against="parameters", is_above=True, colour=ORANGE, marker="D", label=label)
    ax.legend(loc="lower right", frameon=False)
    ax.margins(x=0.06, y=0.12)
    figure.savefig(HERE / "front.png")


def draw_bytes(whole: list[Point], floats: list[Point]) -> None:
    """Accuracies on a logarithmic axis of errors: BitNetMCU's first has ten times those of the others."""
    figure, ax = axes("bytes of weights, biases and scales", [1_000, 2_000, 5_000, 10_000, 20_000, 50_000])
    floats = [point for point in floats if point.bytes <= 70_000]  # more bytes bring hardly anything
    label = f"Assay, 4 bytes a parameter, n = {min(p.n for p in floats)} to {max(p.n for p in floats)}"
    draw(floats, ax, against="bytes", is_above=False, colour=BLUE, marker="o", label=label)
    ax.plot(*zip(*BITNETMCU, strict=True), "s", color=GREY, markersize=6, label="BitNetMCU, by its own account")
    label = f"Assay in whole numbers, 4 bits a weight, n = {whole[0].n}"
    draw(whole, ax, against="bytes", is_above=True, colour=ORANGE, marker="D", label=label)
    ax.set_yscale("function", functions=(lambda mean: -np.log(100 - mean), lambda value: 100 - np.exp(-value)))
    accuracies = [94, 96, 97, 98, 98.5, 99, 99.25, 99.5, 99.75]
    ax.set_yticks(accuracies, [f"{accuracy:g}" for accuracy in accuracies])
    ax.set_ylim(93.5, 99.75)
    ax.legend(loc="lower right", frameon=False)
    ax.margins(x=0.06)
    figure.savefig(HERE / "front-bytes.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path, nargs="*")
    kept = json.loads(KEPT.read_text())
    found = {study: [Point(**point) for point in points] for study, points in kept.items()}
    for store in reversed(parser.parse_args().stores):
        found.update({study: points_of(study, store) for study in STUDIES if study in assay.studies(store)})
    KEPT.write_text(
        json.dumps({study: [asdict(p) for p in points] for study, points in found.items()}, indent=1) + "\n"
    )
    tuned, whole = ([point for study in studies for point in found[study]] for studies in (RECORDS, IN_BYTES))
    draw_parameters(tuned, found[FRONT])
    draw_bytes(whole, sorted((*tuned, *found[FRONT]), key=lambda point: point.bytes))
    for point in sorted((*found[FRONT], *tuned, *whole), key=lambda point: point.bytes):
        ends = f"{point.mean:.2f} % [{point.low:.2f}, {point.high:.2f}], n = {point.n}"
        print(f"{point.parameters:,} parameters, {point.bytes:,} bytes: {ends}")


if __name__ == "__main__":
    main()
