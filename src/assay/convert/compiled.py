"""How a Keras model was compiled, as a study's ``[training]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .losses import loss_settings, metric_notes
from .network import Words
from .optimizers import optimizer_of


@dataclass
class Compiled:
    """How a model was compiled.

    Args:
        place: Of the call; empty where there was none.
        optimizer: Its class.
        config: Its settings, as ``get_config`` gives them.
        rate: Its learning rate before the first step.
        schedule: A schedule object of Keras's, where the rate is one.
        optimizer_place: Where it was made.
        loss: As it was given, or a ``losses.Loss``.
        metrics: As they were given.
        policy: The model's dtype policy, such as ``mixed_bfloat16``.
        notes: Of settings of ``compile`` that have no word, a sentence each.
    """

    place: str = ""
    optimizer: str = "Adam"
    config: Mapping[str, Any] = field(default_factory=dict)
    rate: float = 0.001
    schedule: Any = None
    optimizer_place: str = ""
    loss: Any = None
    metrics: Any = None
    policy: str = "float32"
    notes: tuple[str, ...] = ()


def compiled_settings(compiled: Compiled, words: Words) -> tuple[dict[str, Any], list[str]]:
    """What ``compile`` says: optimizer, loss, precision."""
    place = compiled.optimizer_place or compiled.place
    settings, notes = optimizer_of(compiled.optimizer, compiled.config, compiled.rate, place)
    ends = {"gives_logits": words.gives_logits, "is_binary": words.is_binary}
    more, remarks = loss_settings(compiled.loss, **ends, has_softmax=not words.is_binary, place=compiled.place)
    notes += [*remarks, *metric_notes(compiled.metrics, compiled.place), *compiled.notes]
    if "bfloat16" in compiled.policy:
        more["precision"] = "bfloat16"
    elif compiled.policy not in ("float32", ""):
        notes.append(f"{compiled.place}: it computes in {compiled.policy}; here in float32 or bfloat16 (precision).")
    return {**settings, **more}, notes
