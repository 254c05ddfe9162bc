"""What a reproduction will cost, before it is spent: FLOPs over the speed of twenty steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..nets import Summary
from ..runner import Plan
from ..train.task import Task

STEPS, PATIENCE = 20, 10.0  # of a measurement: steps, and seconds after which fewer will do
BACKWARD = 3  # a training step costs about three times the forward pass


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
    from ..nets.build import learned

    networks = {name: learned(network) for name, network in networks.items()}  # a cached base runs once, not in steps
    costs = {task.id: flops_of(task, networks[task.arm.name], plan.data["num_training"]) for task in missing}
    dearest = max(missing, key=lambda task: networks[task.arm.name].flops)
    speed = measured_speed(dearest, networks[dearest.arm.name])
    return Cost(plan.study.name, len(missing), float(sum(costs.values())), speed, workers)


def flops_of(task: Task, network: Summary, num_images: int) -> float:
    """FLOPs of a run's training steps, if it takes all of its epochs."""
    return float(BACKWARD * network.flops * num_images * task.arm.training.epochs)


def measured_speed(task: Task, network: Summary) -> float:
    """FLOPs a second of training steps, on one thread, without the first step, which may compile kernels."""
    from ..data import open_training
    from ..train.engine import batch_of, learner_of, split_of
    from ..train.features import features_of

    data = features_of(task, open_training(task.images, task.labels, task.groups))
    learner = learner_of(task, data)
    training = task.arm.training
    indices = split_of(task, data).training[: training.batch_size]
    learner.train_batch(batch_of(task, data, indices, 0), step=0, learning_rate=0.0)
    steps, started = 0, time.perf_counter()
    while steps < STEPS and time.perf_counter() - started < PATIENCE:
        steps += 1
        learner.train_batch(batch_of(task, data, indices, steps), step=steps, learning_rate=0.0)
    return BACKWARD * network.flops * len(indices) * steps / (time.perf_counter() - started)
