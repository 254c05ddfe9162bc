"""A Keras loss and its metrics: what of them a study has, which trains on cross-entropy and records accuracy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_CROSS_ENTROPIES = ("categoricalcrossentropy", "sparsecategoricalcrossentropy")
_RECORDED = (
    "accuracy", "acc", "categoricalaccuracy", "sparsecategoricalaccuracy", "binaryaccuracy", "loss",
    "categoricalcrossentropy", "sparsecategoricalcrossentropy", "binarycrossentropy",
)  # fmt: skip


@dataclass(frozen=True)
class Loss:
    """A loss or metric that is not there as an object: its class and its settings."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def name_of(value: Any) -> str:
    """A loss's or metric's name as people write it: its own, a function's, or its class's."""
    if isinstance(value, str):
        return value
    if isinstance(value, Loss):
        return value.name
    if isinstance(value, type):
        return value.__name__
    return getattr(value, "__name__", None) or type(value).__name__


def loss_settings(
    loss: Any, *, gives_logits: bool, is_binary: bool, has_softmax: bool, place: str
) -> tuple[dict[str, Any], list[str]]:
    """Settings of ``spec.Training``, and what the study's cross-entropy does not have of the loss.

    Args:
        loss: As ``compile`` got it.
        gives_logits: The network ends without softmax or sigmoid.
        is_binary: It ends in one unit.
        has_softmax: It ends in a softmax.
        place: Of ``compile``.
    """
    notes: list[str] = []
    settings: dict[str, Any] = {}
    if loss is None:
        return {}, [f"{place}: compile names no loss; cross-entropy is written."]
    if isinstance(loss, list | tuple | dict):
        values = list(loss.values()) if isinstance(loss, dict) else list(loss)
        if len(values) != 1:
            return {}, [f"{place}: there are {len(values)} losses; cross-entropy alone is used here."]
        loss = values[0]
    name = name_of(loss)
    plain = re.sub(r"[_\W]", "", name).lower()
    is_own = plain in _CROSS_ENTROPIES or (plain == "binarycrossentropy" and is_binary)
    if not is_own:
        shown = "binary_crossentropy" if plain == "binarycrossentropy" else name
        notes.append(f"{place}: the loss {shown} is not taken over; cross-entropy is used here.")
    smoothing = _setting(loss, "label_smoothing")
    if smoothing:
        settings["label_smoothing"] = float(smoothing)
        if is_binary:
            notes.append(f"{place}: the smoothing of {smoothing:g} is spread over both classes here.")
    from_logits = bool(_setting(loss, "from_logits"))
    if is_own and from_logits and not gives_logits:
        what = "softmax" if has_softmax else "activation"
        notes.append(f"{place}: the loss takes logits, and the last {what} gives none; here there is one softmax.")
    if is_own and gives_logits and not from_logits:
        notes.append(f"{place}: the loss takes the outputs as probabilities; they are logits, here too.")
    weights = _setting(loss, "class_weights") or _setting(loss, "ignore_class")
    if weights:
        notes.append(f"{place}: the loss {name} has a setting of its own ({weights}), which has no word here.")
    return settings, notes


def _setting(loss: Any, name: str) -> Any:
    if isinstance(loss, Loss):
        return loss.settings.get(name)
    if hasattr(loss, "_fn_kwargs") and name in loss._fn_kwargs:
        return loss._fn_kwargs[name]
    value = getattr(loss, name, None)
    return None if callable(value) else value


def metric_notes(metrics: Any, place: str) -> list[str]:
    """A note on metrics that are not recorded here."""
    flat = _flat(metrics)
    names = [name_of(metric) for metric in flat]
    left = [name for name in names if re.sub(r"[_\W]", "", name).lower() not in _RECORDED]
    if not left:
        return []
    shown = f"metrics {', '.join(left)} are" if len(left) > 1 else f"metric {left[0]} is"
    return [f"{place}: the {shown} left out; loss and accuracy are recorded here."]


def _flat(values: Any) -> Sequence[Any]:
    if values is None:
        return []
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, list | tuple):
        return [item for value in values for item in _flat(value)]
    return [values]
