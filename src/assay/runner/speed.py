"""How fast this machine trains: FLOPs over the time of twenty steps."""

from __future__ import annotations

import time

from ..errors import AssayError
from ..nets import Summary
from ..spec import Training
from ..train.task import Task
from .plan import Plan

STEPS, PATIENCE = 20, 10.0  # of a measurement: steps, and seconds after which fewer will do
_MOST_ARMS = 100  # whose networks are summed up before a study starts
BACKWARD = 3  # a training step costs about three times the forward pass


def flops_of(training: Training, network: Summary, num_images: int) -> float:
    """FLOPs of a run's training steps, if it takes all of its epochs."""
    return float(BACKWARD * network.flops * num_images * training.planned_epochs)


def epoch_costs(plan: Plan) -> dict[str, float]:
    """FLOPs of an image by run id, to compare arms before they have trained; empty where a network is not at hand."""
    from ..train.networks import trained_summary

    arms, shape = dict(plan.members), plan.data.get("shape")
    if shape is None or not 1 < len(arms) <= _MOST_ARMS:
        return {}
    height, width, channels = shape
    try:
        costs = {
            name: float(max(trained_summary(task.arm, (height, width, channels), task.num_classes).flops, 1))
            for name, task in arms.items()
        }
    except AssayError:  # code of one's own that is not here, say: every arm is taken for as fast
        return {}
    return {task.id: costs[name] for name, task in plan.members}


def measured_speed(task: Task, network: Summary) -> float:
    """FLOPs a second of training steps, on one thread, without the first step, which may compile kernels.

    Of an ensemble one member is timed.
    """
    import torch

    from ..data import open_training
    from ..train.engine import batch_of, learner_of, split_of
    from ..train.features import features_of

    task = task.members[0]
    data = features_of(task, open_training(task.images, task.labels, task.groups, task.validation))
    learner = learner_of(task, data)
    training = task.arm.training
    indices = split_of(task, data).training[: training.batch_size]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        learner.train_batch(batch_of(task, data, indices, 0), step=0, learning_rate=0.0)
        steps, started = 0, time.perf_counter()
        while steps < STEPS and time.perf_counter() - started < PATIENCE:
            steps += 1
            learner.train_batch(batch_of(task, data, indices, steps), step=steps, learning_rate=0.0)
        return BACKWARD * network.flops / network.members * len(indices) * steps / (time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
