"""What was recorded of a model: how it was compiled, and each call of ``fit``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..convert.compiled import Compiled
from ..convert.network import Words
from ..errors import InputError
from .feed import Feed


@dataclass
class Fit:
    """One call of ``fit``.

    Args:
        place: Of the call.
        compiled: How the model was compiled then.
        words: Its network then, or why it has no words.
        feed: What it learns from, or why that cannot be looked at.
        validation: What it validates on.
        split: ``validation_split``.
        epochs: Passes that this call makes.
        callbacks: Settings of ``spec.Training`` from its callbacks.
        class_weight: As it was given.
        steps_per_epoch: As it was given.
        notes: A sentence each.
    """

    place: str
    compiled: Compiled
    words: Words | InputError
    feed: Feed | InputError
    validation: Feed | InputError | None = None
    split: float = 0.0
    epochs: int = 1
    callbacks: dict[str, Any] = field(default_factory=dict)
    class_weight: Any = None
    steps_per_epoch: int | None = None
    notes: tuple[str, ...] = ()


@dataclass
class Recording:
    """A model and what was done with it.

    Args:
        model: The live model.
        name: What to call it.
        compiled: How it was compiled last.
        words: Its network when it was compiled, or why it has no words.
        fits: The calls of ``fit``, in order.
        tests: Images and labels that ``evaluate`` got.
        notes: Of other ways to train it, a sentence each.
    """

    model: Any
    name: str
    compiled: Compiled
    words: Words | InputError | None = None
    fits: list[Fit] = field(default_factory=list)
    tests: list[tuple[Any, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
