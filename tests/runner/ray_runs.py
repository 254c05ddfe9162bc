"""What tests of runs on a Ray cluster share."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from assay import Result
from assay.runner.events import Event, Finished
from assay.runner.progress import Silent
from assay.runner.ray import RayExecutor
from assay.store import RunRecord
from assay.train import Task
from assay.train.checkpoint import load_weights

from ..held import PATIENCE_SECONDS
from ..helpers import same_weights

MEMORY = 400 << 20
LONG = {"epochs": 8, "batch_size": 32}
HELD = 4  # the epoch after which tests hold runs


class Recorder(Silent):
    """Keeps what a study's progress is told, and does something about it."""

    def __init__(self, do: Callable[[Event], None] = lambda event: None) -> None:
        self.events: list[Event] = []
        self.do = do

    def follow(self, event: Event) -> None:
        self.events.append(event)
        self.do(event)


def events_of(executor: RayExecutor, tasks: Sequence[Task]) -> Iterator[Event]:
    """What becomes of these tasks, until all have finished."""
    for task in tasks:
        executor.submit(task)
    left = {task.id for task in tasks}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left:
        assert time.monotonic() < deadline
        for event in executor.poll(0.2):
            yield event
            if isinstance(event, Finished):
                left.discard(event.run)


def weights(store: Path, run: RunRecord) -> dict[str, object]:
    return dict(load_weights(store / (run.weights_path or ""), run.weights_sha256 or ""))


def assert_same(one: Path, other: Path, name: str = "small") -> None:
    for mine, theirs in zip(Result(one, name).runs, Result(other, name).runs, strict=True):
        assert mine.id == theirs.id
        assert mine.state == theirs.state == "finished"
        assert same_weights(weights(one, mine), weights(other, theirs))  # type: ignore[arg-type]
        mine_seen, theirs_seen = ([dataclasses.replace(e, seconds=0.0) for e in run.epochs] for run in (mine, theirs))
        assert mine_seen == theirs_seen
