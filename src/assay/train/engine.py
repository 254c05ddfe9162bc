"""The engine: trains one run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..data import Split, TrainingData, split
from ..errors import Diverged
from ..nets import parse
from ..nets.build import Network, build
from .batches import Batches, scaling_of
from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .epochs import EpochRecord
from .optimizers import optimizer_for
from .parameters import FlatParameters
from .task import Task

EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Trained:
    """A finished run: its weights after the last epoch, and what was measured on the way."""

    weights: dict[str, Tensor]
    history: tuple[EpochRecord, ...]
    seconds: float


def train(
    task: Task,
    data: TrainingData,
    *,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    checkpoint: Path | None = None,
) -> Trained:
    """Train one run to its last epoch, from its checkpoint where there is one.

    The result is a function of the task and the data alone: the same bits whether the run was interrupted or not,
    on one machine and one number of threads.

    Args:
        task: What to train.
        data: The training images; the validation split is taken from them.
        on_epoch: Called with every epoch's record, those of a resumed run's past epochs first.
        checkpoint: Where the run's state is kept between epochs; nothing is kept if ``None``.

    Raises:
        Diverged: The loss stopped being a finite number.
        DiskFull: A checkpoint could not be written.
    """
    spec = task.arm.training
    streams = task.streams
    parts = split_of(task, data)
    batches = Batches(data.images, data.labels, scaling_of(data.images, task.data.scaling, parts.training))
    network = build_network(task, data.images.shape[1:])
    parameters = FlatParameters(network)
    optimizer = optimizer_for(spec.optimizer, parameters.values)
    learning_rate = spec.optimizer.learning_rate or 0.0
    fixed_subset = training_subset(task, parts)

    history: list[EpochRecord] = []
    seconds = 0.0
    resumed = load_checkpoint(checkpoint, task.id) if checkpoint else None
    if resumed:
        restore(network, optimizer.state, resumed.tensors)
        history, seconds = list(resumed.history), resumed.seconds
        for record in history:
            on_epoch(record)

    steps_per_epoch = math.ceil(len(parts.training) / spec.batch_size)
    for epoch in range(len(history), spec.epochs):
        started = time.perf_counter()
        order = parts.training[streams.generator("order", epoch).permutation(len(parts.training))]
        network.train()
        loss_sum, hits = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for index in range(steps_per_epoch):
            step = epoch * steps_per_epoch + index
            inputs, targets = batches.take(order[index * spec.batch_size : (index + 1) * spec.batch_size])
            parameters.clear_gradients()
            network.set_step(step)
            logits = network(inputs)
            loss = cross_entropy(logits, targets)
            penalty = network.penalty()
            (loss if penalty is None else loss + penalty).backward()  # type: ignore[no-untyped-call]
            optimizer.step(parameters.gradients, learning_rate, step + 1)
            loss_sum += loss.detach() * len(targets)
            hits += (logits.detach().argmax(1) == targets).sum()

        train_loss, train_accuracy = evaluate(network, batches, fixed_subset)
        validation_loss, validation_accuracy = evaluate(network, batches, parts.validation)
        record = EpochRecord(
            epoch=epoch + 1,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            running_loss=loss_sum.item() / len(order),
            running_accuracy=hits.item() / len(order),
            learning_rate=learning_rate,
            seconds=time.perf_counter() - started,
        )
        _refuse_divergence(record, task)
        seconds += record.seconds
        history.append(record)
        if checkpoint and epoch + 1 < spec.epochs:
            tensors = {**weights_of(network), **{f"optimizer.{name}": slot for name, slot in optimizer.state.items()}}
            save_checkpoint(checkpoint, Checkpoint(task.id, tensors, tuple(history), seconds))
        on_epoch(record)
    return Trained(weights_of(network), tuple(history), seconds)


def split_of(task: Task, data: TrainingData) -> Split:
    """The training and validation images of a run."""
    generator = task.streams.generator("split")
    return split(data.labels, task.data.validation, stratified=task.data.stratified, generator=generator)


def build_network(task: Task, shape: tuple[int, ...]) -> Network:
    """The task's network with its initial weights, for images of ``shape`` (height, width, channels)."""
    height, width, channels = shape
    return build(parse(task.arm.layers), (height, width, channels), task.num_classes, task.streams)


def training_subset(task: Task, parts: Split) -> NDArray[np.int64]:
    """The fixed part of the training split, as large as the validation split, that the fair curves are measured on."""
    size = min(len(parts.training), len(parts.validation))
    chosen = task.streams.generator("split", 1).choice(len(parts.training), size=size, replace=False)
    return parts.training[np.sort(chosen)]


@torch.no_grad()
def evaluate(network: nn.Module, batches: Batches, indices: NDArray[np.int64]) -> tuple[float, float]:
    """Mean loss (nats) and accuracy (fraction) in evaluation mode."""
    network.eval()
    loss, hits = 0.0, 0
    for start in range(0, len(indices), EVALUATION_BATCH):
        inputs, targets = batches.take(indices[start : start + EVALUATION_BATCH])
        logits = network(inputs)
        loss += cross_entropy(logits, targets, reduction="sum").item()
        hits += int((logits.argmax(1) == targets).sum())
    return loss / len(indices), hits / len(indices)


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """A network's parameters and moving statistics by name."""
    return dict(network.state_dict())


def restore(network: nn.Module, optimizer_state: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    """Put a checkpoint's tensors back where they came from."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.copy_(tensors[name])
        for name, slot in optimizer_state.items():
            slot.copy_(tensors[f"optimizer.{name}"])


def _refuse_divergence(record: EpochRecord, task: Task) -> None:
    if all(map(math.isfinite, (record.running_loss, record.train_loss, record.validation_loss))):
        return
    settings = task.arm.training.optimizer
    advice = f"lower the learning rate ({settings.learning_rate:g} now)"
    if task.data.scaling == "none":
        advice += ' or scale the images (scaling = "unit"): they are fed as raw bytes 0 to 255'
    raise Diverged(f"the loss was no longer a number in epoch {record.epoch}", advice)
