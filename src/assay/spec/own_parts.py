"""The parts of an arm that are code of the user's own: its module, loss, augmentation and optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .module import KEY, line_of, module_of
from .own import OwnCall, read_call
from .study import Arm
from .training import Training


def own_calls(arm: Arm) -> Iterator[tuple[str, OwnCall]]:
    """Each part with its key in the arm, such as ``training.loss``.

    Raises:
        SpecError: One cannot be read.
    """
    call = module_of(arm.layers)
    if call is not None:
        yield KEY, call
    yield from training_calls(arm.training)


def training_calls(training: Training) -> Iterator[tuple[str, OwnCall]]:
    """The parts of a protocol: its loss, augmentation and optimizer."""
    if training.loss is not None:
        yield "training.loss", read_call(training.loss, "training.loss")
    if training.augmentation is not None and training.augmentation.own is not None:
        yield "training.augmentation.own", read_call(training.augmentation.own, "training.augmentation.own")
    if training.optimizer.own is not None:
        yield "training.optimizer.own", read_call(training.optimizer.own, "training.optimizer.own")


def with_calls(arm: Arm, change: Callable[[OwnCall, str], OwnCall]) -> Arm:
    """The arm with each part replaced by what ``change`` makes of it and its key; the same arm where it has none."""
    calls = {key: change(call, key) for key, call in own_calls(arm)}
    if not calls:
        return arm
    update: dict[str, Any] = {}
    if KEY in calls:
        update["layers"] = (line_of(calls[KEY]),)
    training, changed = arm.training, {}
    if (loss := calls.get("training.loss")) is not None:
        changed["loss"] = loss.text
    if (own := calls.get("training.augmentation.own")) is not None and training.augmentation is not None:
        changed["augmentation"] = training.augmentation.model_copy(update={"own": own.text})  # type: ignore[assignment]
    if (own := calls.get("training.optimizer.own")) is not None:
        changed["optimizer"] = training.optimizer.model_copy(update={"own": own.text})  # type: ignore[assignment]
    if changed:
        update["training"] = training.model_copy(update=changed)
    return arm.model_copy(update=update)
