"""What is about to be trained, for whoever follows a study."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..train.task import Task


@dataclass(frozen=True)
class Outlook:
    """What is about to happen, for a progress display.

    Args:
        study: The study's name.
        num_runs: Runs of the plan.
        num_done: Those that had ended before.
        labels: By run id, such as ``dropout=0.5, seed 3``.
        epochs: By run id, how many are planned.
        num_workers: Cores to use.
        arms: By run id, the arm's name.
        tasks: By run id, its design.
        costs: By run id, what an epoch costs beside others: FLOPs; 1 where nobody knows.
        ended: Ids of the runs that had ended before.
        phase: Which part of a study this is, such as a search's rung; empty for a study of one part.
    """

    study: str
    num_runs: int
    num_done: int
    labels: dict[str, str]
    epochs: dict[str, int]
    num_workers: int
    arms: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    phase: str = ""
    ended: frozenset[str] = frozenset()
