"""Workers are started once for many plans, and anew where the number of threads changes."""

from __future__ import annotations

from collections.abc import Sequence

from assay.runner import Executor, Pool
from assay.runner.events import Event
from assay.train import Task


class Counted(Executor):
    def __init__(self, num_workers: int, threads: int) -> None:
        self.size, self.is_closed = (num_workers, threads), False

    def submit(self, task: Task) -> None:
        pass

    def poll(self, timeout_seconds: float) -> Sequence[Event]:
        return ()

    def close(self) -> None:
        self.is_closed = True


def test_a_pool_lends_the_same_workers_until_threads_change() -> None:
    made: list[Counted] = []

    def make(num_workers: int, threads: int) -> Executor:
        made.append(Counted(num_workers, threads))
        return made[-1]

    pool = Pool(4)
    for wanted in (1, 3, 4):
        pool.lend(make, wanted, 1).close()
    assert [(one.size, one.is_closed) for one in made] == [((4, 1), False)]
    pool.lend(make, 1, 4)
    assert [(one.size, one.is_closed) for one in made] == [((4, 1), True), ((1, 4), False)]
    pool.close()
    assert made[-1].is_closed
