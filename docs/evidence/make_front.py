"""Draws front.png beside it, accuracy against parameters on MNIST, and keeps its points in front.json.

    python docs/evidence/make_front.py [STORE ...]

The studies record-700, record-2000, record-6000 and record-front are taken from the first store that has them, and must
have been revealed there; one that no store has keeps the points that are in the file. A point is an arm's mean test
accuracy over its seeds, with the 95 % interval of that mean, in percent to two digits.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

import assay
from assay.analysis import arm_scores

RECORDS = ("record-700", "record-2000", "record-6000")
FRONT = "record-front"
TARGET, KEPT = (Path(__file__).with_name(name) for name in ("front.png", "front.json"))
BLUE, ORANGE = "#0072B2", "#D55E00"


@dataclass(frozen=True)
class Point:
    """An arm's network and its score on the test split, in percent."""

    parameters: int
    mean: float
    low: float
    high: float
    n: int


def points_of(study: str, store: Path) -> list[Point]:
    """One for each arm, smallest network first."""
    result = assay.result(study, store=store)
    parameters = {arm: summary.parameters for arm, summary in assay.describe(assay.load(study)).items()}
    found = []
    for arm in arm_scores(result.record, split="test"):
        assert arm.interval is not None, f"{study}: {arm.arm} has fewer than two test scores; run and reveal it first"
        interval = arm.interval.mean, arm.interval.low, arm.interval.high
        mean, low, high = (round(100 * value, 2) for value in interval)
        found.append(Point(parameters[arm.arm], mean, low, high, arm.n))
    return sorted(found, key=lambda point: point.parameters)


def draw(points: list[Point], ax: Axes, *, colour: str, marker: str, label: str) -> None:
    ax.errorbar(
        [point.parameters for point in points],
        [point.mean for point in points],
        yerr=[[point.mean - point.low for point in points], [point.high - point.mean for point in points]],
        fmt=marker, color=colour, markersize=7, capsize=4, elinewidth=1.6, label=label,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path, nargs="*")
    found = {study: [Point(**kept) for kept in points] for study, points in json.loads(KEPT.read_text()).items()}
    for store in reversed(parser.parse_args().stores):
        found.update({study: points_of(study, store) for study in found if study in assay.studies(store)})
    KEPT.write_text(
        json.dumps({study: [asdict(p) for p in points] for study, points in found.items()}, indent=1) + "\n"
    )
    tuned, others = [point for study in RECORDS for point in found[study]], found[FRONT]
    figure, ax = plt.subplots(figsize=(8, 4.6), dpi=150, layout="constrained")
    draw(others, ax, colour=BLUE, marker="o", label=f"record-front, n = {others[0].n}: widths set beforehand")
    draw(tuned, ax, colour=ORANGE, marker="D", label=f"records, n = {tuned[0].n}: tuned on validation for their budget")
    for point in (*others, *tuned):
        is_tuned = point in tuned
        ax.annotate(
            f"{point.mean:.2f} %", (point.parameters, point.high if is_tuned else point.low),
            xytext=(0, 6 if is_tuned else -6), textcoords="offset points", ha="center",
            va="bottom" if is_tuned else "top", fontsize=9, color=ORANGE if is_tuned else BLUE,
        )  # fmt: skip
    ticks = [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000]
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlabel("parameters (Keras's total)")
    ax.set_ylabel("MNIST test accuracy, %")
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="lower right", frameon=False)
    ax.margins(x=0.06, y=0.12)
    figure.savefig(TARGET)
    for point in sorted((*others, *tuned), key=lambda point: point.parameters):
        print(f"{point.parameters:,}: {point.mean:.2f} % [{point.low:.2f}, {point.high:.2f}], n = {point.n}")


if __name__ == "__main__":
    main()
