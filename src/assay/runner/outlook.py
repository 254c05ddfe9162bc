"""What is about to be trained, for whoever follows a study."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..train.task import Task


@dataclass(frozen=True)
class Outlook:
    """What is about to be trained, for a progress display.

    Args:
        study: The study's name.
        num_runs: The number of runs.
        num_done: Runs that had ended before.
        labels: By run id, such as ``"dropout=0.5, seed 3"``.
        epochs: By run id, the planned epochs.
        num_workers: Cores to use.
        arms: By run id, the arm's name.
        tasks: By run id, its design.
        costs: By run id, the relative cost of an epoch: FLOPs, or 1 if they are not known.
        phase: The part of the study, such as a search's rung; empty for a study of one part.
        ended: The ids of runs that had ended before.
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
