"""Decisions about single runs: which are due, and what to do with one that was lost."""

from __future__ import annotations

from typing import Literal

from ..store.records import State

MAX_LOSSES = 2
MAX_MACHINES = 6


def is_due(state: State | None) -> bool:
    """Whether a study that is run (again) should train this run.

    A finished run has its result. A diverged one would diverge again: it is the same bits. One that was lost or had
    no memory may fare better another time.
    """
    return state not in ("finished", "diverged")


def after_loss(num_losses: int, num_machines: int = 0) -> Literal["retry", "give up"]:
    """What to do with a run that is lost: its worker has died so often in this session, and so many machines with it.

    Machines go for reasons of their own. A run that takes one after another along is the reason itself.
    """
    return "retry" if num_losses < MAX_LOSSES and num_machines < MAX_MACHINES else "give up"
