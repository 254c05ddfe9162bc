"""One problem of a run: its name, evidence, advice and source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "unscaled inputs", "inputs hardly vary", "bounded scores", "stale moving statistics", "diverged",
    "weight decay too strong", "batch too small", "saturated units", "vanishing gradients", "dead units",
    "validation unlike training", "labels unrelated to images", "majority class only", "collapsed to one class",
    "augmentation too strong", "dropout too strong", "learning rate too high", "learning rate too low",
    "duplicates between splits", "overfitting", "underfitting", "not converged", "class never predicted",
    "validation better than training", "lucky epoch",
]  # fmt: skip

MIN_EPOCHS = 4  # with fewer, rules about the course of training say nothing


@dataclass(frozen=True)
class Diagnosis:
    """One problem of a run: its evidence and what to try. docs/reference/diagnoses.md describes each kind.

    Args:
        kind: The name of the problem, such as ``"overfitting"``.
        evidence: The numbers that show it, as a sentence without its full stop.
        advice: What to try next.
        source: The publication of the rule, or what it was measured on.
        epoch: When it began, from 1; ``None`` if it has no beginning.
    """

    kind: Kind
    evidence: str
    advice: str
    source: str
    epoch: int | None = None
