"""Candidates: what they would cost, and whether they may be trained. Nothing here trains or builds anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..data import DatasetInfo
from ..errors import SpecError
from ..nets import Summary, summary_of
from ..runner.plan import with_labels
from ..runner.speed import flops_of
from ..spec import Arm, Study
from ..spec.search import Cost, Value

UNITS = {"parameters": "parameters", "flops": "FLOPs", "seconds": "seconds"}


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
        return max((self.costs[cost] / most for cost, most in limits.items() if cost in self.costs), default=0.0)


def weigh(study: Study, info: DatasetInfo, chosen: Mapping[str, Value], *, speed: float | None = None) -> Weighed:
    """The costs of a candidate, and whether the search's constraints let it be trained.

    Args:
        study: A search.
        info: Its data.
        chosen: Values by parameter.
        speed: FLOPs a second in training steps, where ``seconds`` are to be estimated.

    Raises:
        SpecError: The search's file is at fault, whatever the values.
    """
    assert study.search is not None
    told = dict(chosen)
    try:
        arm = study.candidate("candidate", told)
        summary = summary_of(with_labels(arm, info), info.shape, info.num_classes)
    except SpecError as error:
        if any(problem.key.startswith("search") for problem in error.problems):
            raise
        return Weighed(told, None, {}, f"cannot be built: {str(error.problems[0]).rstrip('.')}")
    costs: dict[str, float] = {"parameters": summary.parameters, "flops": summary.flops}
    if speed is not None:
        costs["seconds"] = flops_of(arm.training, summary, info.num_training) / speed
    over = [
        f"{costs[cost]:,.0f} {UNITS[cost]}, above {most:,.0f}"
        for cost, most in study.search.limits.items()
        if cost in costs and costs[cost] > most
    ]
    return Weighed(told, arm, costs, " and ".join(over), summary)
