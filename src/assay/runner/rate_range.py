"""Learning-rate range tests of a study's arm, from its file: nothing is stored."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Problem, SpecError
from ..numerals import counted
from ..spec import Study
from ..spec.arms import arm_name

if TYPE_CHECKING:
    from ..explain.picture import Picture
    from ..train.rate_range import RateCurve

FEWEST_STEPS, MOST_STEPS = 20, 100_000


@dataclass(frozen=True, eq=False)
class RateRange:
    """Learning-rate range tests of one arm, one for each seed, as :func:`assay.lr_range` returns them.

    Args:
        arm: The arm's name.
        optimizer: Its optimizer's name.
        current: The learning rate that the study has.
        curves: The loss by learning rate, one curve for each seed.
    """

    arm: str
    optimizer: str
    current: float
    curves: tuple[RateCurve, ...]

    @property
    def suggestions(self) -> tuple[float, ...]:
        """For each seed whose loss falls, the learning rate at which it falls fastest."""
        return tuple(rate for curve in self.curves if math.isfinite(rate := curve.steepest))

    @property
    def suggested(self) -> float:
        """The geometric mean of :attr:`suggestions`; NaN if there are none."""
        return float(np.exp(np.mean(np.log(self.suggestions)))) if self.suggestions else math.nan

    @property
    def highest(self) -> float:
        """The learning rate above which training begins to fail: the lowest one over seeds."""
        return min(curve.lowest for curve in self.curves)

    @property
    def sentence(self) -> str:
        """The result in words."""
        seeds = counted(len(self.curves), "seed")
        if not self.suggestions:
            return (
                f"{self.arm}: the loss never falls between {self.curves[0].rates[0]:.2g} and "
                f"{max(curve.rates[-1] for curve in self.curves):.2g} ({seeds}). Give a wider range or more steps."
            )
        spread = ""
        if len(self.suggestions) > 1:
            spread = f", {min(self.suggestions):.2g} to {max(self.suggestions):.2g} over {len(self.suggestions)} seeds"
        return (
            f"{self.arm}, {self.optimizer}: the loss falls fastest at learning_rate = {self.suggested:.2g}{spread} "
            f"({seeds}), and is lowest at {self.highest:.2g}; the study has {self.current:.2g}. A range test is a "
            "hint of where to search, not a verdict: compare rates as levels of a factor, or search them."
        )

    @property
    def picture(self) -> Picture:
        """The losses as a figure."""
        from ..explain.figures import rate_lines
        from ..explain.picture import Picture

        curves = [(curve.rates, curve.losses, curve.smoothed) for curve in self.curves]
        return Picture(
            "lr-range",
            f"Learning-rate range test of {self.arm}",
            self.sentence,
            lambda theme: rate_lines(curves, self.suggested, self.current, theme=theme),
            self.as_dict(),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "arm": self.arm,
            "optimizer": self.optimizer,
            "current": self.current,
            "suggested": self.suggested if self.suggestions else None,
            "lowest": self.highest,
            "seeds": [
                {
                    "seed": curve.seed,
                    "steepest": curve.steepest if math.isfinite(curve.steepest) else None,
                    "lowest": curve.lowest,
                    "rates": curve.rates.tolist(),
                    "losses": curve.losses.tolist(),
                }
                for curve in self.curves
            ],
        }

    def _repr_html_(self) -> str:
        return self.picture.html()


def rate_range(
    study: Study,
    store: Path,
    *,
    arm: str | None = None,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 200,
    seeds: int = 1,
    threads: int = 1,
    on_seed: Callable[[int], None] = lambda seed: None,
) -> RateRange:
    """Train an arm for some steps with rising learning rates, for each of the study's first seeds.

    Args:
        study: The study.
        store: The store that holds the runs that are bases.
        arm: Its name; the first one if ``None``.
        low, high: The first and the last learning rate.
        steps: Training steps of each test.
        seeds: How many of the study's seeds.
        threads: Threads to train with.
        on_seed: Called with each seed before its test.

    Raises:
        SpecError: There is no such arm, it is a search, or the range is none.
        DataError: The data are not at hand.
    """
    from ..data import prepare
    from ..train.rate_range import rate_curve
    from .plan import check_networks, task_of, with_labels

    if not 0 < low < high < math.inf:
        raise SpecError(Problem(f"got learning rates from {low:g} to {high:g}", "give 0 < low < high"))
    if not FEWEST_STEPS <= steps <= MOST_STEPS:
        raise SpecError(Problem(f"got {steps:,} steps", f"give {FEWEST_STEPS} to {MOST_STEPS:,}"))
    if seeds < 1:
        raise SpecError(Problem(f"got {seeds} seeds", "give 1 or more"))
    if study.search is not None:
        raise SpecError(Problem("a search has no arm yet", "give its learning rate a range, or test a study with arms"))
    if study.parts:
        what = f"the study has {len(study.parts)} data sets, and a test is on one"
        raise SpecError(Problem(what, "make a study of one of them", "data.name"))
    check_networks(study, store=store)
    arms = {one.name: one for one in study.expand()}
    name = next(iter(arms)) if arm is None else arm_name(arm, list(arms), study.name)
    chosen = arms[name]
    if chosen.search is not None:
        what = f'arm "{name}" is a search, whose space may hold the learning rate'
        raise SpecError(Problem(what, "name another arm"))
    dataset = prepare(study.data)
    curves = []
    for seed in range(study.seeds.start, study.seeds.start + seeds):
        on_seed(seed)
        task = task_of(
            with_labels(chosen, dataset.info), study.data, study.seeds.vary, dataset, store,
            seed=seed, fold=1 if study.data.num_folds else None,
        )  # fmt: skip
        curves.append(rate_curve(task, dataset.training(), low=low, high=high, steps=steps, threads=threads))
    optimizer = chosen.training.optimizer
    return RateRange(name, optimizer.own or optimizer.name, optimizer.learning_rate or 0.0, tuple(curves))
