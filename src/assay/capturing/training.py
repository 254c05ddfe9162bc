"""A recorded ``fit`` as a study's ``[training]``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..convert.rates import schedule_by_step, shown
from .feed import Feed
from .recording import Fit

_MOST_POINTS = 400


def fit_settings(
    fit: Fit, settings: Mapping[str, Any], num_images: int | None, classes: Sequence[str] | None
) -> tuple[dict[str, Any], list[str]]:
    """The whole of ``[training]``: what ``compile`` says, and ``fit``'s epochs, batches, callbacks and weights.

    Args:
        fit: The call.
        settings: Of ``compiled_settings``.
        num_images: That it learns from in an epoch.
        classes: Names in the order of their labels.
    """
    notes = list(fit.notes)
    values: dict[str, Any] = {"epochs": fit.epochs}
    batch = fit.feed.batch_size if isinstance(fit.feed, Feed) else 32
    values["batch_size"] = batch
    values |= settings
    callbacks = dict(fit.callbacks)
    if "learning_rate" in callbacks:
        values["optimizer"] = {**values["optimizer"], "learning_rate": callbacks.pop("learning_rate")}
    values |= callbacks
    steps = math.ceil(num_images / batch) if num_images else None
    given = fit.steps_per_epoch
    if given and steps and num_images and given not in (steps, num_images // batch):
        seen = given * batch
        notes.append(f"{fit.place}: an epoch is {given:,} steps of {batch}, {seen:,} of {num_images:,} images; here an "
                     "epoch is a whole pass.")  # fmt: skip
    if fit.compiled.schedule is not None:
        if "schedule" in values:
            notes.append(f"{fit.place}: the optimizer has a schedule beside the callback's, and it is left out.")
        else:
            schedule, rate, more = _schedule(fit, given or steps)
            values |= schedule
            if rate is not None:
                values["optimizer"] = {**values["optimizer"], "learning_rate": rate}
            notes += more
    weights = fit.class_weight
    if isinstance(weights, Mapping) and weights:
        values["class_weights"] = {_class(key, classes): float(weight) for key, weight in weights.items()}
    return values, notes


def _class(key: Any, classes: Sequence[str] | None) -> str:
    number = int(key)
    return classes[number] if classes is not None and 0 <= number < len(classes) else str(number)


def _schedule(fit: Fit, steps: int | None) -> tuple[dict[str, Any], float | None, list[str]]:
    """A schedule object's settings, the learning rate that they are relative to unless it is the first, and notes."""
    schedule, place = fit.compiled.schedule, fit.compiled.optimizer_place or fit.place
    kind = type(schedule).__name__
    if steps is None:
        return {}, None, [f"{place}: the schedule {kind} counts steps, whose number is not known, and is left out."]
    if (warmed := _warmed(schedule, steps, steps * fit.epochs)) is not None:
        settings, peak = warmed
        return {"schedule": settings}, peak, []
    points = min(steps, max(1, _MOST_POINTS // fit.epochs))
    try:
        rates = [_rate(schedule, step * steps / points) for step in range(points * fit.epochs)]
    except Exception as error:
        return {}, None, [f"{place}: the schedule {kind} fails ({type(error).__name__}) and is left out."]
    result = schedule_by_step(rates, points) if min(rates) >= 0 and rates[0] > 0 else None
    if result is None:
        what = f"the rates of {kind} ({shown(rates)}) follow no schedule that has a name here"
        highest = float(f"{max(rates):.3g}")
        kept = "the first" if rates[0] > 0 else f"the highest, {highest:g},"
        return {}, None if rates[0] > 0 else highest or None, [f"{place}: {what}; {kept} is kept throughout."]
    return ({"schedule": result} if result["name"] != "constant" else {}), None, []


def _warmed(schedule: Any, steps: int, total: int) -> tuple[dict[str, Any], float] | None:
    """A cosine with a warm-up from 0, where it ends with the run, and its peak; ``None`` for anything else."""
    if type(schedule).__name__ != "CosineDecay":
        return None
    config = schedule.get_config()
    peak, warmup = config.get("warmup_target"), int(config.get("warmup_steps") or 0)
    length = warmup + int(config["decay_steps"])
    if peak is None or not warmup or config["initial_learning_rate"] or abs(length - total) > max(1, total // 200):
        return None
    final = {"final": float(config["alpha"])} if config.get("alpha") else {}
    return {"name": "cosine", "warmup_epochs": round(warmup / steps, 6), **final}, float(peak)


def _rate(schedule: Any, step: float) -> float:
    value = schedule(step)
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return float(value.numpy()) if hasattr(value, "numpy") else float(value)
