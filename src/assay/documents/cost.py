"""Estimates the cost of a reproduction before it runs: FLOPs over the measured speed of twenty steps."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data import Dataset
from ..nets import Summary
from ..runner import Plan
from ..runner.plan import task_of
from ..runner.speed import BACKWARD, flops_of, measured_speed
from ..search import num_epochs, try_space
from ..spec import Study
from ..store import StudyRecord
from ..train.task import Task


@dataclass(frozen=True)
class Cost:
    """The estimated cost of a study's missing runs.

    Args:
        study: The study's name.
        num_runs: The number of missing runs.
        flops: FLOPs of all of them, at most. Early stopping may save some.
        flops_per_second: The speed of one core, measured on training steps of the most expensive arm.
        workers: Runs at a time.
    """

    study: str
    num_runs: int
    flops: float
    flops_per_second: float
    workers: int

    @property
    def seconds(self) -> float:
        """The estimated duration in seconds."""
        return self.flops / self.flops_per_second / max(1, min(self.workers, self.num_runs))


def estimate(plan: Plan, missing: Sequence[Task], networks: dict[str, Summary], workers: int) -> Cost | None:
    """The cost of a plan's missing runs; ``None`` if there are none."""
    if not missing:
        return None
    from ..nets.build import learned

    networks = {name: learned(network) for name, network in networks.items()}  # a cached base runs once, not in steps
    costs = {
        task.id: flops_of(task.arm.training, networks[task.arm.name], plan.data["num_training"]) for task in missing
    }
    dearest = max(missing, key=lambda task: networks[task.arm.name].flops)
    speed = measured_speed(dearest, networks[dearest.arm.name])
    return Cost(plan.study.name, len(missing), float(sum(costs.values())), speed, workers)


def epochs_left(study: Study, record: StudyRecord | None) -> int:
    """Epochs that a search and its finalists will still take, at most."""
    assert study.search is not None
    finalists = study.search.finalists * study.seeds.planned
    if record is not None and record.search is not None:
        scored_finalists = [run for run in record.runs if run.state == "finished"]
        if record.runs and len(scored_finalists) == len(record.runs) >= finalists:
            return 0
        spent = sum(len(run.epochs) for run in (*record.search.runs, *record.runs))
    else:
        spent = 0
    return max(1, num_epochs(study) + finalists * study.planned_epochs - spent)


def search_cost(study: Study, dataset: Dataset, folder: Path, epochs: int, workers: int) -> Cost:
    """The cost of so many epochs of a search, each of the candidate with the median cost of nine."""
    allowed = try_space(study, dataset.info, wanted=9, store=folder).allowed
    middle = statistics.median_low([candidate.costs["flops"] for candidate in allowed])
    candidate = next(candidate for candidate in allowed if candidate.costs["flops"] == middle)
    assert candidate.arm is not None
    assert candidate.summary is not None
    task = task_of(candidate.arm, study.data, study.seeds.vary, dataset, folder, seed=0)
    flops = float(BACKWARD * candidate.summary.flops * dataset.info.num_training * epochs)
    num_runs = max(1, epochs // study.planned_epochs)
    return Cost(study.name, num_runs, flops, measured_speed(task, candidate.summary), workers)
