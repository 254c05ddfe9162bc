"""Lists of kernel calls, played by any number of threads."""

from __future__ import annotations

import gc
import threading
import time

import numpy as np
import pytest

from assay.train.fused import tape as tapes
from assay.train.fused.compiler import Kernel, compiled
from assay.train.fused.tape import Tape, Team

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
@pytest.mark.parametrize("work", [0, tapes.WORTH_SHARING], ids=["one thread's calls", "shared calls"])
def test_a_call_sees_all_that_calls_before_it_wrote(threads: int, work: int) -> None:
    size, rounds = 5, 40
    x, y = np.zeros((2, size), np.float32)
    tape, team = Tape(), Team(threads)
    tape(work, previous_plus_one(), x, y, size)
    tape(0, compiled("divided", "x[] y[] size", "    for k in range(size):\n        y[k] = x[k] / size\n"), y, x, size)
    for _ in range(rounds):
        team.play(tape)
    assert x.tolist() == [pytest.approx(rounds / size)] * size  # each round adds one to the sum of x


@pytest.mark.parametrize("threads", THREADS)
def test_every_share_is_done_once(threads: int) -> None:
    counts = np.zeros(7, np.float32)
    body = "    for k in range(size * part // parts, size * (part + 1) // parts):\n        counts[k] += 1\n"
    tape, team = Tape(), Team(threads)
    tape(tapes.WORTH_SHARING, compiled("counted", "counts[] size", body), counts, len(counts))
    for _ in range(1000):
        team.play(tape)
    assert counts.tolist() == [1000.0] * 7


def test_helpers_that_fell_asleep_are_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tapes, "_PATIENCE", 1)
    counts = np.zeros(6, np.float32)
    body = "    for k in range(size * part // parts, size * (part + 1) // parts):\n        counts[k] += parts\n"
    tape, team = Tape(), Team(3)
    tape(tapes.WORTH_SHARING, compiled("weighed", "counts[] size", body), counts, len(counts))
    for _ in range(tapes._TRIALS):
        team.play(tape)
    tape.seconds_alone = 1e9  # never alone
    counts[:] = 0
    for _ in range(20):
        deadline = time.monotonic() + 120
        while team._board[tapes._ASLEEP] < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert team._board[tapes._ASLEEP] == 2
        team.play(tape)
    assert counts.tolist() == [60.0] * 6


def test_a_tape_that_is_slower_together_is_played_alone_for_a_while() -> None:
    parts = np.zeros(1, np.float32)
    tape, team = Tape(), Team(2)
    tape(tapes.WORTH_SHARING, compiled("told", "x[]", "    if part == 0:\n        x[0] = parts\n"), parts)
    for _ in range(tapes._TRIALS):
        team.play(tape)
        assert parts[0] == 1
    tape.seconds_alone = 0.0  # any play together is slower
    found = []
    for _ in range(tapes._PLAYS_ALONE + 1):
        team.play(tape)
        found.append(int(parts[0]))
    assert found == [2] + [1] * tapes._PLAYS_ALONE


def test_a_forgotten_team_leaves_no_threads() -> None:
    before = set(threading.enumerate())
    team = Team(3)
    helpers = set(threading.enumerate()) - before
    assert len(helpers) == 2
    del team
    gc.collect()
    for helper in helpers:
        helper.join(10)
        assert not helper.is_alive()


def test_a_call_can_be_given_other_arguments() -> None:
    one, other = np.zeros((2, 1), np.float32)
    tape = Tape()
    tape(0, compiled("raised", "x[] by", "    x[0] += by\n"), one, 1)
    Team(1).play(tape)
    tape.rebind(0, other, 5)
    Team(1).play(tape)
    assert (one[0], other[0]) == (1, 5)
