"""Trains one run: the loop over epochs and steps, with evaluation, checkpoints and early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data import SplitIndices, TestData, TrainingData
from ..energy import Meter
from ..errors import Diverged
from ..measures import Predictions, measure_called
from ..nets import whitening
from ..nets.build import Network
from ..spec import Best, Evaluation, Training
from .batches import batch_of as batch_of
from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .doubtful import doubtful_images
from .ensemble import EnsembleLearner
from .epochs import EpochRecord
from .features import Features, features_of, test_features_of
from .health import epochs_between
from .learner import Learner, Objective
from .logits import hits_in as hits_in
from .logits import log_softmax as log_softmax
from .networks import network_of, trained_summary
from .own_parts import augmentation_of
from .parts import split_of as split_of
from .parts import training_subset as training_subset
from .paths import usable_path
from .prepared import Prepared
from .probed import probe_of
from .scaling import Scaling, scaling_of
from .schedules import learning_rate
from .statistics import MOST_IMAGES, Refresh, needs_statistics, refreshed, with_statistics
from .stopping import is_over, kept_epoch
from .task import Task
from .teacher import teacher_of
from .views import logits_by_views, scored_by_views

_NOT_MEASURED = (math.nan, math.nan)  # of a run without validation images


@dataclass(frozen=True)
class Trained:
    """A finished run: the weights that it keeps, and what was measured on the way.

    Args:
        weights: Of the epoch that counts.
        history: Every epoch's record.
        seconds: Spent in training and evaluation.
        kept_epoch: The epoch that counts, from 1.
        validation: The images to validate on, by ascending index into the training images, or into the published ones
            [images]; none where the run has none, or is paused.
        log_probabilities: What the kept weights say of them: natural logarithms of probabilities [images, classes],
            computed as the record's accuracy was.
        hits: Which of them the kept weights classify correctly [images].
        is_paused: It stopped where its task says, before its end: its state is in the checkpoint, and no weights here.
        joules: Spent by the run, and by all packages in the same time; ``None`` where that is not known.
        left_out: How many training images ``exclude`` left out; ``None`` where nothing was asked for.
    """

    weights: dict[str, Tensor]
    history: tuple[EpochRecord, ...]
    seconds: float
    kept_epoch: int
    validation: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    hits: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    log_probabilities: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    is_paused: bool = False
    joules: tuple[float, float] | None = None
    left_out: int | None = None


def train(
    task: Task,
    data: TrainingData,
    *,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    on_step: Callable[[int, float], None] = lambda epoch, share: None,
    checkpoint: Path | None = None,
    threads: int = 1,
    published: TestData | None = None,
    meter: Meter | None = None,
) -> Trained:
    """Train one run to its end, from its checkpoint where there is one.

    It ends with its last epoch or, with early stopping, before; the weights are those of the epoch that counts. A task
    with ``pause_after`` stops after so many epochs, to be resumed from its checkpoint.

    The result is a function of the task and the data alone: the same bits whether the run was interrupted or not, on
    one machine. On the plain path it depends on the number of threads too; on a CUDA device bits are not promised.

    Args:
        task: What to train.
        data: The training images; the validation split is taken from them.
        on_epoch: Called with every epoch's record, those of a resumed run's past epochs first.
        on_step: Called after every step with the epoch, from 1, and the share of its steps that are done.
        checkpoint: Where the run's state is kept between epochs; nothing is kept if ``None``.
        threads: Threads to train with.
        published: The images to validate on, for a study that repeats a published protocol (``data.open_published``).
        meter: Of the energy that is spent; it is measured from when the meter was made.

    Raises:
        Diverged: The loss stopped being a finite number.
        DiskFull: A checkpoint could not be written.
    """
    training = task.arm.training
    teacher = teacher_of(task, data)
    data = features_of(task, data)
    name = checkpoint_name(task)
    resumed = load_checkpoint(checkpoint, name) if checkpoint else None
    parts = split_of(task, data)
    left_out: NDArray[np.int64] | None = None
    begun = time.perf_counter()
    if training.exclude is not None:
        known = None if resumed is None or resumed.left_out is None else resumed.left_out.numpy()
        left_out = _doubtful(task, data, parts, threads) if known is None else known
        parts = SplitIndices(np.setdiff1d(parts.training, left_out, assume_unique=True), parts.validation)
    num_left_out = None if left_out is None else len(left_out)
    seconds = time.perf_counter() - begun if left_out is not None else 0.0  # training for doubts is training, too
    learner = learner_of(task, data, threads=threads)
    members = tuple(zip(task.members, learner.members, strict=True))
    validation_data: TrainingData | TestData = test_features_of(task, published) if published else data
    validation = np.arange(len(published)) if published else parts.validation
    subset = training_subset(task, parts, len(validation))
    size = training.batch_size
    steps_per_epoch = math.ceil(len(parts.training) / size)

    own = augmentation_of(training)
    first, first_learner = members[0]
    probe = probe_of(first, data, subset, *_network_of(first, data, parts.training), own)
    statistics = [_Statistics.of(one, data, parts.training) for one, _ in members]
    between = epochs_between(len(parts.training))
    names = tuple(dict.fromkeys([*training.measures, *task.measures])) if len(validation) else ()

    history: list[EpochRecord] = []
    kept: dict[str, Tensor] = {}
    if resumed:
        learner.load_weights(resumed.tensors)
        learner.load_slots(resumed.tensors)
        history, seconds, kept = list(resumed.history), resumed.seconds, resumed.kept
        for record in history:
            on_epoch(record)

    def joules() -> tuple[float, float] | None:
        now = None if meter is None else meter.spent()
        before = (0.0, 0.0) if resumed is None else resumed.joules
        return None if now is None or before is None else (before[0] + now[0], before[1] + now[1])

    while not is_over(training, history):
        if task.pause_after is not None and len(history) >= task.pause_after:
            return Trained({}, tuple(history), seconds, kept_epoch(training, history), is_paused=True)
        epoch, started = len(history), time.perf_counter()
        orders = [
            parts.training[one.streams.generator("order", epoch).permutation(len(parts.training))] for one, _ in members
        ]
        learner.begin_epoch(epoch + 1, steps_per_epoch)
        loss: float | Tensor = 0.0
        hits: int | Tensor = 0
        rate = 0.0
        for index in range(steps_per_epoch):
            step = epoch * steps_per_epoch + index
            rate = _rate(training, step, steps_per_epoch, history)
            for (one, network), order in zip(members, orders, strict=True):
                chosen = order[index * size : (index + 1) * size]
                batch = batch_of(one, data, chosen, step, own, epoch=epoch)
                if teacher is not None:
                    batch = teacher.taught(batch, chosen)
                more_loss, more_hits = network.train_batch(batch, step=step, learning_rate=rate)
                loss, hits = loss + more_loss, hits + more_hits
            on_step(epoch + 1, (index + 1) / steps_per_epoch)
        learner.end_epoch(epoch + 1)
        views = training.evaluation
        with _counting(learner, statistics, orders, epoch, steps_per_epoch):
            train_loss, train_accuracy = evaluate(learner, data, subset, views)
            validation_loss, validation_accuracy = (
                evaluate(learner, validation_data, validation, views) if len(validation) else _NOT_MEASURED
            )
            measures = taken(names, learner, validation_data, validation, task.num_classes, views)
            record = EpochRecord(
                epoch=epoch + 1,
                train_loss=train_loss,
                train_accuracy=train_accuracy,
                validation_loss=validation_loss,
                validation_accuracy=validation_accuracy,
                running_loss=float(loss) / (len(parts.training) * len(members)),
                running_accuracy=float(hits) / (len(parts.training) * len(members)),
                learning_rate=rate,
                seconds=time.perf_counter() - started,
                measures=measures,
            )
            _refuse_divergence(record, task, data)
            is_last = is_over(training, [*history, record])
            if record.epoch % between == 0 or is_last:
                weights = first_learner.weights()
                health = probe.measure(weights, num_steps=(epoch + 1) * steps_per_epoch, is_last=is_last)
                record = replace(record, health=health, seconds=time.perf_counter() - started)
            seconds += record.seconds
            history.append(record)
            if kept_epoch(training, history) == record.epoch and (isinstance(training.keep, Best) or is_last):
                kept = learner.weights()
        if checkpoint and not is_last:
            tensors = {**learner.weights(), **learner.slots()}
            skipped = None if left_out is None else torch.from_numpy(left_out)
            save_checkpoint(
                checkpoint, Checkpoint(name, tensors, tuple(history), seconds, kept, joules(), skipped)
            )  # fmt: skip
        on_epoch(record)
    number = kept_epoch(training, history)
    measured = joules()
    if not len(validation):
        return Trained(kept, tuple(history), seconds, number, joules=measured, left_out=num_left_out)
    logs = log_probabilities_of(learner, kept, validation_data, validation, training.evaluation)
    is_hit = hits_in(logs, validation_data.labels[validation])
    return Trained(
        kept, tuple(history), seconds, number, validation, is_hit, logs, joules=measured, left_out=num_left_out
    )


@dataclass(frozen=True)
class _Statistics:
    """What computes the statistics of batch normalization for averaged weights of one network.

    Args:
        task, data: The run, of one network, and its images.
        network, scaling: A network of its own, and what it sees of images.
    """

    task: Task
    data: TrainingData
    network: Network
    scaling: Scaling

    @classmethod
    def of(cls, task: Task, data: TrainingData, reference: NDArray[np.int64]) -> _Statistics | None:
        """``None`` where no weights are averaged over epochs, or no layer has such statistics."""
        if task.arm.training.swa is None:
            return None
        network, scaling = _network_of(task, data, reference)
        return cls(task, data, network, scaling) if needs_statistics(network) else None

    def refresh(self, order: NDArray[np.int64], epoch: int, steps_per_epoch: int) -> Refresh:
        """From averaged weights to the same with statistics of the epoch's first images, as they were trained on."""
        size, own = self.task.arm.training.batch_size, augmentation_of(self.task.arm.training)

        def batches() -> Iterator[Tensor]:
            for index in range(math.ceil(min(MOST_IMAGES, len(order)) / size)):
                step, chosen = epoch * steps_per_epoch + index, order[index * size : (index + 1) * size]
                batch = batch_of(self.task, self.data, chosen, step, own, epoch=epoch)
                yield self.scaling.apply(batch.images, batch.indices)

        return lambda weights: with_statistics(self.network, weights, batches())


@contextmanager
def _counting(
    learner: Learner,
    statistics: Sequence[_Statistics | None],
    orders: Sequence[NDArray[np.int64]],
    epoch: int,
    steps_per_epoch: int,
) -> Iterator[None]:
    """Inside, the learner has the weights that count after an epoch (from 0): an average, where one is kept."""
    with ExitStack() as stack:
        stack.enter_context(learner.averaged())
        for member, one, order in zip(learner.members, statistics, orders, strict=True):
            if one is None:
                continue
            training = one.task.arm.training
            if training.swa is not None and epoch + 1 >= training.swa.first_epoch(training.epochs):
                stack.enter_context(refreshed(member, one.refresh(order, epoch, steps_per_epoch)))
        yield


def checkpoint_name(task: Task) -> str:
    """The name in the task's checkpoint. It contains the device, since one device trains all of a run."""
    return task.id if task.device == "cpu" else f"{task.id} on {task.device}"


def learner_of(task: Task, data: TrainingData, *, threads: int = 1) -> Learner:
    """The task's network with its initial weights, on the path that trains it.

    On a CUDA device torch's layers there; on the processor kernels where they support the network, else torch's layers.
    """
    from .plain import PlainLearner

    training = task.arm.training
    data = features_of(task, data)
    if training.ensemble is not None:
        return EnsembleLearner([learner_of(one, data, threads=threads) for one in task.members])
    chosen = split_of(task, data).training
    network, scaling = _network_of(task, data, chosen)
    path = usable_path(network.summary, training, task.device, task.streams)
    precision = path.precision
    weights = class_weights_of(training, np.asarray(data.labels[chosen]), task.num_classes)
    objective = Objective(weights, training.label_smoothing, training.distillation)
    if path.name == "plain":
        return PlainLearner(
            network, training.optimizer, scaling, training=training, objective=objective, precision=precision
        )
    if path.name == "cuda":
        from .cuda.learner import CudaLearner

        return CudaLearner(
            network,
            training.optimizer,
            scaling,
            batch_size=training.batch_size,
            precision=precision,
            training=training,
            objective=objective,
        )
    from .fused.learner import FusedLearner

    fused = FusedLearner(
        network.summary,
        training.optimizer,
        scaling,
        precision=precision,
        batch_size=training.batch_size,
        streams=task.streams,
        threads=threads,
        training=training,
        objective=objective,
    )
    fused.load_weights({name: value.detach() for name, value in network.state_dict().items()})
    return fused


def _network_of(task: Task, data: TrainingData, reference: NDArray[np.int64]) -> tuple[Network, Scaling]:
    """The trained network with its initial weights, and the scaling of its input: images or a frozen base's outputs."""
    height, width, channels = data.images.shape[1:]
    if isinstance(data, Features):
        network = Network(trained_summary(task.arm, data.stored, task.num_classes), task.streams)
        return network, scaling_of(data.images, "none", reference)
    network = network_of(task.arm, (height, width, channels), task.num_classes, task.streams, task.base)
    base = network.summary.base
    if base is not None:
        return network, Prepared(base.preparation)
    scaling = scaling_of(data.images, task.data.scaling, reference)
    if whitening.is_whitening(network):
        num_images = min(len(reference), whitening.MOST_IMAGES)
        chosen = reference[np.linspace(0, len(reference) - 1, num_images).astype(np.int64)]  # classes may lie in order
        whitening.whiten(network, lambda start, stop: scaling.apply(data.images, chosen[start:stop]), num_images)
    return network, scaling


def class_weights_of(training: Training, labels: NDArray[np.integer], num_classes: int) -> NDArray[np.float32] | None:
    """The weight of each class in the training loss [classes]; ``None`` where all weigh the same.

    Args:
        training: The protocol; a table's keys are labels, as ``runner.plan`` writes them.
        labels: Of the training split, for ``balanced``: images / (classes x images of the class). A class without
            images weighs 1; it is never seen.
        num_classes: Classes in the data set.

    Source: scikit-learn's ``compute_class_weight``; King and Zeng (2001), "Logistic regression in rare events data".
    """
    if training.class_weights == "none":
        return None
    weights = np.ones(num_classes, np.float32)
    if training.class_weights == "balanced":
        counts = np.bincount(labels, minlength=num_classes)
        seen = counts > 0
        weights[seen] = len(labels) / (np.count_nonzero(seen) * counts[seen])
    else:
        for label, weight in training.class_weights.items():
            weights[int(label)] = weight
    return weights


def _doubtful(task: Task, data: TrainingData, parts: SplitIndices, threads: int) -> NDArray[np.int64]:
    """Images of the training split whose labels the arm's own network doubts, where it has not learned from them."""

    def held_out(inner: Task, images: TrainingData) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        trained = train(inner, images, threads=threads)
        return trained.validation, trained.log_probabilities

    return doubtful_images(task, data, parts.training, held_out)


def evaluate(
    learner: Learner, data: TrainingData | TestData, indices: NDArray[np.int64], views: Evaluation | None = None
) -> tuple[float, float]:
    """Mean loss (nats) and accuracy (fraction) in evaluation mode, of the mean over views where there are any."""
    if views is not None:
        losses, is_hit = scored_by_views(learner, data, indices, views)
        return float(losses.mean()), float(is_hit.mean())
    loss, hits = learner.score(data.images, data.labels, indices)
    return loss / len(indices), hits / len(indices)


def taken(
    names: Sequence[str],
    learner: Learner,
    data: TrainingData | TestData,
    indices: NDArray[np.int64],
    num_classes: int,
    views: Evaluation | None = None,
) -> dict[str, float] | None:
    """Measures of images by their names, in evaluation mode; ``None`` where none is asked for.

    Classes are named by their labels. A network whose outputs are no numbers has none: its loss says that it diverged.
    """
    if not names:
        return None
    classes = tuple(map(str, range(num_classes)))
    logs = log_softmax(_logits_of(learner, data, indices, views))
    if not np.isfinite(logs).all():
        return dict.fromkeys(names, math.nan)
    groups = getattr(data, "groups", None)
    predictions = Predictions(
        logs, np.asarray(data.labels[indices]), classes, None if groups is None else np.asarray(groups[indices])
    )
    return {name: measure_called(name, classes).value(predictions) for name in names}


def log_probabilities_of(
    learner: Learner,
    weights: dict[str, Tensor],
    data: TrainingData | TestData,
    indices: NDArray[np.int64],
    views: Evaluation | None = None,
) -> NDArray[np.float32]:
    """What these weights, which the learner takes over, say of images: logarithms of probabilities [indices, classes].

    The most probable class is that of the highest logit, of views of the highest mean logit.
    """
    learner.load_weights(weights)
    return log_softmax(_logits_of(learner, data, indices, views))


def hits_of(
    learner: Learner,
    weights: dict[str, Tensor],
    data: TrainingData | TestData,
    indices: NDArray[np.int64],
    views: Evaluation | None = None,
) -> NDArray[np.bool_]:
    """Which of the images these weights, which the learner takes over, classify correctly [indices]."""
    if not len(indices):
        return np.zeros(0, np.bool_)
    return hits_in(log_probabilities_of(learner, weights, data, indices, views), np.asarray(data.labels[indices]))


def _logits_of(
    learner: Learner, data: TrainingData | TestData, indices: NDArray[np.int64], views: Evaluation | None
) -> NDArray[np.floating]:
    if views is not None:
        return logits_by_views(learner, data, indices, views)
    return learner.logits_at(data.images, indices)


def _rate(training: Training, step: int, steps_per_epoch: int, history: list[EpochRecord]) -> float:
    swa, epoch = training.swa, step // steps_per_epoch + 1
    if swa is not None and swa.learning_rate is not None and epoch >= swa.first_epoch(training.epochs):
        return swa.learning_rate
    return learning_rate(
        training.schedule,
        training.optimizer.learning_rate or 0.0,
        step=step,
        steps_per_epoch=steps_per_epoch,
        epochs=training.epochs,
        history=history,
    )


def _refuse_divergence(record: EpochRecord, task: Task, data: TrainingData) -> None:
    losses = [record.running_loss, record.train_loss]
    if task.data.validation != "none":
        losses.append(record.validation_loss)
    if all(map(math.isfinite, losses)):
        return
    settings, is_raw = task.arm.training.optimizer, task.data.scaling == "none" and task.arm.base is None
    advice = f"lower the learning rate ({settings.learning_rate:g} now)"
    if is_raw and data.images.dtype == np.uint8:
        advice += ' or scale the images (scaling = "unit"): they are fed as raw bytes 0 to 255'
    raise Diverged(f"the loss was no longer a number in epoch {record.epoch}", advice)
