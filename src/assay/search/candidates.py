"""Candidates: what they would cost, and whether they may be trained. Nothing here trains or builds anything."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..data import DatasetInfo, num_learned
from ..errors import SpecError
from ..nets import Summary, summary_of
from ..nets.fixed_point import costs_of, lower
from ..runner.bases import base_of_run, looked_up
from ..runner.own_code import named
from ..runner.plan import with_labels
from ..runner.speed import flops_of
from ..spec import Arm, Base, Study
from ..spec.factors import placeholders
from ..spec.search import CORES, ON_CORE, Cost, Value, needs_program
from ..spec.transfer import RUN

UNITS = {
    "parameters": "parameters",
    "flops": "FLOPs",
    "seconds": "seconds",
    "bytes": "bytes",
    "ram": "bytes of RAM",
    "multiply_adds": "multiply-adds",
    **{f"{ON_CORE}{core}": f"{ON_CORE}{core}" for core in CORES},
}


@dataclass(frozen=True)
class Weighed:
    """A candidate and its costs.

    Args:
        chosen: Values by parameter.
        arm: What is trained; ``None`` where nothing can be built.
        costs: By kind; empty where nothing can be built.
        reason: Why it may not be trained; empty where it may.
    """

    chosen: dict[str, Value]
    arm: Arm | None
    costs: dict[str, float]
    reason: str = ""
    summary: Summary | None = None

    def excess(self, limits: Mapping[Cost, float]) -> float:
        """How many times over its worst limit it is."""
        known = ((self.costs[cost], most) for cost, most in limits.items() if cost in self.costs)
        return max((cost / most if most else math.inf for cost, most in known), default=0.0)


def on_its_base(study: Study, store: Path | None) -> Study:
    """The search with the run that is its base looked up, once for all candidates.

    A base with placeholders in it is looked up for each candidate, as is one that no store is named for.

    Raises:
        SpecError: The run is unknown, has not finished, or is no base.
    """
    network = study.network
    if network is None or not isinstance(network.base, dict) or placeholders(network.base):
        return study
    if not str(network.base.get("weights", "")).startswith(RUN):
        return study
    try:
        base = base_of_run(Base.of(network.base), store)
    except SpecError as error:
        problems = (
            replace(problem, key=f"network.base.{problem.key.removeprefix('base.')}") for problem in error.problems
        )
        raise SpecError(problems) from None
    if base is None:
        return study
    return study.model_copy(update={"network": network.model_copy(update={"base": base.model_dump(mode="json")})})


def weigh(
    study: Study,
    info: DatasetInfo,
    chosen: Mapping[str, Value],
    *,
    speed: float | None = None,
    store: Path | None = None,
) -> Weighed:
    """The costs of a candidate, and whether the search's constraints let it be trained.

    Args:
        study: A search.
        info: Its data.
        chosen: Values by parameter.
        speed: FLOPs a second in training steps, where ``seconds`` are to be estimated.
        store: The store that holds the runs that are bases; without one, a candidate on a run that is not found in the
            usual store has no costs.

    Raises:
        SpecError: The search's file is at fault, whatever the values.
    """
    assert study.search is not None
    values = dict(chosen)
    try:
        arm = study.candidate("candidate", values)
        known = looked_up(named(arm), store)
        if known is None:
            return Weighed(values, arm, {})
        arm = known
        summary = summary_of(with_labels(arm, info), info.shape, info.num_classes)
    except SpecError as error:
        if any(problem.key.startswith("search") for problem in error.problems):
            raise
        return Weighed(values, None, {}, f"cannot be built: {str(error.problems[0]).rstrip('.')}")
    costs: dict[str, float] = {"parameters": summary.parameters, "flops": summary.flops}
    if speed is not None:
        costs["seconds"] = flops_of(arm.training, summary, num_learned(study.data, info)) / speed
    wanted = [cost for cost in (*study.search.limits, *study.search.objective) if needs_program(cost)]
    if wanted:
        try:
            costs |= program_costs(summary, wanted, is_shifted=study.data.scaling == "standard")
        except SpecError as error:
            return Weighed(values, None, {}, f"cannot be written in C: {str(error.problems[0]).rstrip('.')}")
    over = [
        f"{costs[cost]:,.0f} {UNITS[cost]}, above {most:,.0f}"
        for cost, most in study.search.limits.items()
        if cost in costs and costs[cost] > most
    ]
    return Weighed(values, arm, costs, " and ".join(over), summary)


def program_costs(summary: Summary, wanted: Iterable[Cost], *, is_shifted: bool) -> dict[str, float]:
    """Costs of the fixed-point program that C export writes of a network.

    Raises:
        SpecError: It has no such form.
    """
    costs = costs_of(lower(summary, is_shifted=is_shifted))
    times = {f"{ON_CORE}{core}": time for core, time in costs.microseconds.items()}
    known = {"bytes": costs.bytes, "ram": costs.ram, "multiply_adds": costs.multiply_adds, **times}
    return {cost: known[cost] for cost in wanted}
