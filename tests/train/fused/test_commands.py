"""Command lists give the same result on any number of threads, which sleep and wake as they should."""

from __future__ import annotations

import gc
import threading
import time

import numpy as np
import pytest

from assay.train.fused import commands as command_lists
from assay.train.fused.commands import CommandList, Team
from assay.train.fused.compiler import Kernel, compiled

THREADS = [1, 2, 3]


def previous_plus_one() -> Kernel:
    """Each element of y becomes the sum of all of x, plus one: wrong as soon as x is not finished."""
    body = """    whole = ZERO
    for k in range(size):
        whole += x[k]
    for k in range(size * part // parts, size * (part + 1) // parts):
        y[k] = whole + 1
"""
    return compiled("previous_plus_one", "x[] y[] size", body)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("work", [0, command_lists.WORTH_SHARING], ids=["one thread's calls", "shared calls"])
def test_a_call_sees_all_that_calls_before_it_wrote(threads: int, work: int) -> None:
    size, rounds = 5, 40
    x, y = np.zeros((2, size), np.float32)
    commands, team = CommandList(), Team(threads)
    commands.add(work, previous_plus_one(), x, y, size)
    commands.add(
        0, compiled("divided", "x[] y[] size", "    for k in range(size):\n        y[k] = x[k] / size\n"), y, x, size
    )
    for _ in range(rounds):
        team.run(commands)
    assert x.tolist() == [pytest.approx(rounds / size)] * size  # each round adds one to the sum of x


@pytest.mark.parametrize("threads", THREADS)
def test_every_share_is_done_once(threads: int) -> None:
    counts = np.zeros(7, np.float32)
    body = "    for k in range(size * part // parts, size * (part + 1) // parts):\n        counts[k] += 1\n"
    commands, team = CommandList(), Team(threads)
    commands.add(command_lists.WORTH_SHARING, compiled("counted", "counts[] size", body), counts, len(counts))
    for _ in range(1000):
        team.run(commands)
    assert counts.tolist() == [1000.0] * 7


def test_sleeping_workers_are_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_lists, "_YIELDS_BEFORE_SLEEP", 1)
    counts = np.zeros(6, np.float32)
    body = "    for k in range(size * part // parts, size * (part + 1) // parts):\n        counts[k] += parts\n"
    commands, team = CommandList(), Team(3)
    commands.add(command_lists.WORTH_SHARING, compiled("weighed", "counts[] size", body), counts, len(counts))
    for _ in range(command_lists._RUNS_TO_TIME):
        team.run(commands)
    commands.seconds_single = 1e9  # never alone
    counts[:] = 0
    for _ in range(20):
        deadline = time.monotonic() + 120
        while team._control[command_lists._ASLEEP] < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert team._control[command_lists._ASLEEP] == 2
        team.run(commands)
    assert counts.tolist() == [60.0] * 6


def test_a_list_that_is_slower_together_is_run_alone_for_a_while() -> None:
    parts = np.zeros(1, np.float32)
    commands, team = CommandList(), Team(2)
    commands.add(
        command_lists.WORTH_SHARING, compiled("num_parts", "x[]", "    if part == 0:\n        x[0] = parts\n"), parts
    )
    for _ in range(command_lists._RUNS_TO_TIME):
        team.run(commands)
        assert parts[0] == 1
    seen = []
    for slow in (True, False, False, True, True):  # one slow run is no reason, the second in a row is
        commands.seconds_single = 0.0 if slow else 1e9
        team.run(commands)
        seen.append(int(parts[0]))
    for _ in range(command_lists._RUNS_ALONE + 3):
        team.run(commands)
        commands.seconds_single = 0.0  # a run alone has set it
        seen.append(int(parts[0]))
    alone = [1] * command_lists._RUNS_ALONE
    assert seen == [2] * 5 + alone + [2, 1, 1]


def test_a_discarded_team_leaves_no_threads() -> None:
    before = set(threading.enumerate())
    team = Team(3)
    workers = set(threading.enumerate()) - before
    assert len(workers) == 2
    del team
    gc.collect()
    for worker in workers:
        worker.join(10)
        assert not worker.is_alive()


def test_a_call_can_be_given_other_arguments() -> None:
    one, other = np.zeros((2, 1), np.float32)
    commands = CommandList()
    commands.add(0, compiled("raised", "x[] by", "    x[0] += by\n"), one, 1)
    Team(1).run(commands)
    commands.rebind(0, other, 5)
    Team(1).run(commands)
    assert (one[0], other[0]) == (1, 5)
