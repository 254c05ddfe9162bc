"""Decisions about runs, as pure functions of recorded facts."""

from __future__ import annotations

from typing import Literal

from ..store.records import State

MAX_LOSSES = 2


def is_due(state: State | None) -> bool:
    """Whether a study that is run (again) should train this run.

    A finished run has its result. A diverged one would diverge again: it is the same bits. One that was lost or had
    no memory may fare better another time.
    """
    return state not in ("finished", "diverged")


def after_loss(num_losses: int) -> Literal["retry", "give up"]:
    """What to do with a run whose worker died for the ``num_losses``-th time in this session."""
    return "retry" if num_losses < MAX_LOSSES else "give up"
