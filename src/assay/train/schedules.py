"""Learning-rate schedules: the rate of a step, as a pure function of the schedule and of the epochs recorded before.

Nothing is kept between steps, so a resumed run continues at the rate where it stopped.

Sources: Keras 3.15's ``CosineDecay``, ``ExponentialDecay`` and ``ReduceLROnPlateau``, PyTorch's ``OneCycleLR``;
Loshchilov and Hutter (2017), "SGDR"; Smith and Topin (2019), "Super-convergence".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..spec.schedule import Schedule
from .epochs import EpochRecord
from .stopping import to_minimize


def learning_rate(
    schedule: Schedule,
    base: float,
    *,
    step: int,
    steps_per_epoch: int,
    epochs: int,
    history: Sequence[EpochRecord],
) -> float:
    """The learning rate of one step.

    Args:
        schedule: Its name and settings.
        base: The optimizer's own learning rate: the constant, the start, or the peak.
        step: Steps taken before this one, so the first is 0.
        steps_per_epoch: Steps in an epoch.
        epochs: Epochs in the whole run.
        history: Records of the epochs before this step's, in order; later ones are not looked at. Only
            ``plateau`` reads them.

    Raises:
        ValueError: ``plateau`` lacks the record of an earlier epoch.
    """
    total = steps_per_epoch * epochs
    match schedule.name:
        case "constant":
            return base
        case "cosine":
            return base * _cosine(schedule, step, steps_per_epoch, total)
        case "one-cycle":
            return base * _one_cycle(schedule, step, total)
        case "exponential":
            return base * math.pow(_required(schedule.factor), step / steps_per_epoch)
        case "step":
            return base * math.pow(_required(schedule.factor), step // steps_per_epoch // _required(schedule.every))
        case "plateau":
            return _plateau(schedule, base, step // steps_per_epoch, history)


def _cosine(schedule: Schedule, step: int, steps_per_epoch: int, total: int) -> float:
    warmup = _required(schedule.warmup_epochs) * steps_per_epoch
    if step < warmup:
        return step / warmup
    progress = min((step - warmup) / (total - warmup), 1) if total > warmup else 0.0
    return _between(1.0, _required(schedule.final), progress, "cosine")


def _one_cycle(schedule: Schedule, step: int, total: int) -> float:
    last = total - 1
    peak = min(max(_required(schedule.peak_at) * total - 1, 0), last)
    if step < peak:
        return _between(_required(schedule.start), 1.0, step / peak, schedule.shape)
    progress = min((step - peak) / (last - peak), 1) if last > peak else 0.0
    return _between(1.0, _required(schedule.final), progress, schedule.shape)


def _plateau(schedule: Schedule, base: float, epoch: int, history: Sequence[EpochRecord]) -> float:
    if len(history) < epoch:
        raise ValueError(f"a plateau in epoch {epoch + 1} needs {epoch} records, got {len(history)}")
    metric = schedule.metric or "validation_loss"
    least = max(base * _required(schedule.min), _required(schedule.min_learning_rate))
    rate, best, waited, cooling = base, math.inf, 0, 0
    for record in history[:epoch]:
        if cooling:
            cooling, waited = cooling - 1, 0
        value = to_minimize(record, metric)
        if value + _required(schedule.min_delta) < best:
            best, waited = value, 0
        elif not cooling:
            waited += 1
            if waited >= _required(schedule.patience) and rate > least:
                rate, waited, cooling = (
                    max(rate * _required(schedule.factor), least),
                    0,
                    int(_required(schedule.cooldown)),
                )
    return rate


def _between(start: float, end: float, progress: float, shape: str | None) -> float:
    """From ``start`` at 0 to ``end`` at 1."""
    share = (1 - math.cos(math.pi * progress)) / 2 if shape == "cosine" else progress
    return start + (end - start) * share


def _required(setting: float | None) -> float:
    if setting is None:
        raise TypeError("a schedule fills in its own defaults at construction; this one bypassed that")
    return setting
