"""Keras callbacks as a study's settings: stopping, keeping the best, lowering the rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..convert.rates import schedule_by_epoch, shown

_METRICS = {"loss": "running_loss", "val_loss": "validation_loss"}
_ACCURACIES = ("acc", "accuracy", "categorical_accuracy", "sparse_categorical_accuracy", "binary_accuracy")
_METRICS |= dict.fromkeys(_ACCURACIES, "running_accuracy")
_METRICS |= {f"val_{name}": "validation_accuracy" for name in _ACCURACIES}
# They watch, write or show, and change nothing that is learned.
_WITHOUT_EFFECT = (
    "History", "ProgbarLogger", "TensorBoard", "CSVLogger", "BackupAndRestore", "TerminateOnNaN", "RemoteMonitor",
    "TqdmCallback", "BaseLogger",
)  # fmt: skip


def settings_of(
    callbacks: Sequence[Any], place_of: Callable[[Any], str], *, epochs: int, rate: float
) -> tuple[dict[str, Any], list[str]]:
    """Settings of ``spec.Training``, and what has no word, a sentence each.

    Args:
        callbacks: As they were given to ``fit``.
        place_of: Where one was made.
        epochs: Of the whole run: how often a schedule is asked.
        rate: The optimizer's learning rate.
    """
    settings: dict[str, Any] = {}
    notes: list[str] = []
    # A scheduler sets the rate before every epoch, whatever a plateau has made of it: it comes first.
    for callback in sorted(callbacks, key=lambda one: type(one).__name__ != "LearningRateScheduler"):
        kind, place = type(callback).__name__, place_of(callback)
        match kind:
            case "EarlyStopping":
                _stopping(callback, settings, notes, place)
            case "ReduceLROnPlateau":
                _plateau(callback, settings, notes, place)
            case "ModelCheckpoint":
                _checkpoint(callback, settings, notes, place)
            case "LearningRateScheduler":
                _scheduler(callback, settings, notes, place, epochs, rate)
            case _ if kind in _WITHOUT_EFFECT:
                notes.append(f"{place}: {kind} changes nothing that is learned and is left out.")
            case _:
                notes.append(f"{place}: the callback {kind} is code and is left out.")
    return settings, notes


def _metric(callback: Any, notes: list[str], place: str, what: str) -> str | None:
    monitor = str(getattr(callback, "monitor", "val_loss"))
    metric = _METRICS.get(monitor)
    if metric is None:
        known = "losses and accuracies of training and validation are"
        notes.append(f"{place}: {what} watches {monitor}, which is not recorded here ({known}), and is left out.")
        return None
    mode = _mode(callback)
    if mode is not None and mode != ("max" if metric.endswith("accuracy") else "min"):
        better = "rising" if metric.endswith("accuracy") else "falling"
        notes.append(f'{place}: {what} has mode = "{mode}", for which {monitor} improves the other way; here it '
                     f"improves by {better}.")  # fmt: skip
    return metric


def _mode(callback: Any) -> str | None:
    """Whether a callback seeks the smallest or the largest; ``None`` where that follows from the metric."""
    operation = getattr(getattr(callback, "monitor_op", None), "__name__", "")
    given = getattr(callback, "mode", None)
    named = {"less": "min", "greater": "max"}.get(operation)
    return given if given in ("min", "max") else named


def _stopping(callback: Any, settings: dict[str, Any], notes: list[str], place: str) -> None:
    metric = _metric(callback, notes, place, "EarlyStopping")
    if metric is None:
        return
    if "early_stopping" in settings:
        earlier = settings["early_stopping"]["metric"]
        notes.append(f"{place}: this is a second EarlyStopping; a study has one, here that by {earlier}, and this one "
                     "is left out.")  # fmt: skip
        return
    settings["early_stopping"] = {"metric": metric, "patience": int(callback.patience)}
    if callback.min_delta:
        settings["early_stopping"]["min_delta"] = abs(float(callback.min_delta))
    if getattr(callback, "restore_best_weights", False):
        _keep(metric, settings, notes, place)
    for name, usual in (("baseline", None), ("start_from_epoch", 0)):
        if getattr(callback, name, usual) != usual:
            value = getattr(callback, name)
            notes.append(f"{place}: EarlyStopping has {name} = {value}, which has no word here and is left out.")


def _checkpoint(callback: Any, settings: dict[str, Any], notes: list[str], place: str) -> None:
    if not getattr(callback, "save_best_only", False):
        notes.append(f"{place}: ModelCheckpoint saves every epoch; a study keeps checkpoints of its own.")
        return
    metric = _metric(callback, notes, place, "ModelCheckpoint")
    if metric is not None:
        _keep(metric, settings, notes, place)


def _keep(metric: str, settings: dict[str, Any], notes: list[str], place: str) -> None:
    earlier = settings.get("keep", {}).get("best", metric)
    if earlier != metric:
        notes.append(f"{place}: the best epoch is that by {metric}; here that by {earlier}, as said before it.")
    settings["keep"] = {"best": earlier}


def _plateau(callback: Any, settings: dict[str, Any], notes: list[str], place: str) -> None:
    metric = _metric(callback, notes, place, "ReduceLROnPlateau")
    if metric is None or _is_taken(settings, notes, place, "ReduceLROnPlateau"):
        return
    patience = int(callback.patience)
    if patience < 1:
        notes.append(f"{place}: ReduceLROnPlateau has patience = {patience}; here 1 is the least.")
    values = {"factor": float(callback.factor), "patience": max(1, patience), "metric": metric}
    defaults = {"min_lr": ("min_learning_rate", 0), "min_delta": ("min_delta", 1e-4), "cooldown": ("cooldown", 0)}
    more = {
        word: getattr(callback, name) for name, (word, usual) in defaults.items() if getattr(callback, name) != usual
    }
    settings["schedule"] = {"name": "plateau", **values, **more}


def _scheduler(callback: Any, settings: dict[str, Any], notes: list[str], place: str, epochs: int, rate: float) -> None:
    if _is_taken(settings, notes, place, "LearningRateScheduler"):
        return
    rates, current = [], rate
    try:
        for epoch in range(epochs):
            try:
                current = float(callback.schedule(epoch, current))
            except TypeError:
                current = float(callback.schedule(epoch))
            rates.append(current)
    except Exception as error:
        notes.append(f"{place}: the LearningRateScheduler's function fails ({_short(error)}) and is left out.")
        return
    schedule = schedule_by_epoch(rates) if min(rates) > 0 else None
    settings["learning_rate"] = rates[0]
    if schedule is None:
        notes.append(f"{place}: the LearningRateScheduler's rates ({shown(rates)}) follow no schedule that has a name "
                     f"here; the first is kept throughout.")  # fmt: skip
    elif schedule["name"] != "constant":
        settings["schedule"] = schedule


def _is_taken(settings: Mapping[str, Any], notes: list[str], place: str, what: str) -> bool:
    if "schedule" not in settings and "learning_rate" not in settings:
        return False
    notes.append(f"{place}: {what} comes beside a scheduler; a study has one schedule, and this one is left out.")
    return True


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:80]
