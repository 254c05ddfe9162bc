"""Deviation between seeds as `assay plan` predicts it from the first runs of an arm, over what all of its runs show.

``python -m tests.analysis.measured_spreads STORE [STORE ...] [--runs 2]`` prints a line for every arm of every study
in these stores with eight seeds or more, and how many lie within 0.8 to 1.25. Where an arm has few seeds, its own
deviation is uncertain: of n seeds by about 1 / sqrt(2 (n - 1)), so that even a perfect prediction is not always within.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from assay.analysis.grid import grid_of
from assay.analysis.seed_spreads import spreads_of
from assay.results.planning import labels_of, probabilities_of
from assay.store import StudyRecord, open_reader

FEWEST = 8


def first_runs(study: StudyRecord, count: int) -> StudyRecord:
    """The study as it stood with so many seeds of each arm."""
    seeds = sorted({run.seed for run in study.runs})[:count]
    return replace(study, runs=tuple(run for run in study.runs if run.seed in seeds), verdict_looks=())


def chance_within(seeds: int) -> float:
    """How often a perfect prediction is within 0.8 to 1.25 of what so many seeds show, if scores are normal."""
    n = seeds - 1
    return float(chi2.cdf(n / 0.8**2, n) - chi2.cdf(n / 1.25**2, n))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("stores", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=2)
    given = parser.parse_args()
    ratios, chances, independent = [], [], []
    for store in given.stores:
        with open_reader(store) as reader:
            studies = [reader.study(name) for name in reader.study_names()]
        for study in studies:
            of_first = first_runs(study, given.runs)
            spreads = spreads_of(
                of_first, probabilities_of(of_first, store) if given.runs == 1 else None, labels_of(study)
            )
            grid = grid_of(study)
            for arm, spread in spreads.arms.items():
                scores = grid.validation.means[grid.places[arm]]
                scores = scores[~np.isnan(scores)]
                if len(scores) < FEWEST:
                    continue
                observed = float(scores.std(ddof=1))
                ratios.append(math.sqrt(spread.predicted) / observed)
                independent.append(math.sqrt(spread.independent) / observed)
                chances.append(chance_within(len(scores)))
                print(
                    f"{study.name:24} {arm:34} {len(scores):4} seeds {100 * scores.mean():6.2f} % "
                    f"observed {100 * observed:5.2f} predicted {100 * math.sqrt(spread.predicted):5.2f} "
                    f"ratio {ratios[-1]:.2f} (independent errors {independent[-1]:.2f}) {spreads.sources[arm]}"
                )
    for name, values in (("predicted", np.array(ratios)), ("independent errors", np.array(independent))):
        within = int(((values >= 0.8) & (values <= 1.25)).sum())
        spread = float(np.std(np.log(values), ddof=1))
        print(
            f"{name}: {within} of {len(values)} within, median {np.median(values):.2f}, deviation of log {spread:.2f}"
        )
    print(f"a perfect prediction would have {np.sum(chances):.1f} within")


if __name__ == "__main__":
    main()
