"""What a reproduction will cost, before it is spent: FLOPs over the speed of twenty steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..nets import Summary
from ..runner import Plan
from ..runner.speed import flops_of, measured_speed
from ..train.task import Task


@dataclass(frozen=True)
class Cost:
    """The estimate of a study's missing runs.

    Args:
        study: Its name.
        num_runs: How many are missing.
        flops: Of all of them, at most: early stopping may save some.
        flops_per_second: Measured on one core, in training steps of the arm that costs most.
        workers: Runs at a time.
    """

    study: str
    num_runs: int
    flops: float
    flops_per_second: float
    workers: int

    @property
    def seconds(self) -> float:
        return self.flops / self.flops_per_second / max(1, min(self.workers, self.num_runs))


def estimate(plan: Plan, missing: Sequence[Task], networks: dict[str, Summary], workers: int) -> Cost | None:
    """The cost of a plan's missing runs; ``None`` if there are none."""
    if not missing:
        return None
    costs = {
        task.id: flops_of(task.arm.training, networks[task.arm.name], plan.data["num_training"]) for task in missing
    }
    dearest = max(missing, key=lambda task: networks[task.arm.name].flops)
    speed = measured_speed(dearest, networks[dearest.arm.name])
    return Cost(plan.study.name, len(missing), float(sum(costs.values())), speed, workers)
