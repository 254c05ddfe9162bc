"""How long the rest of a study takes, as displays say it: against studies that are played with a fake clock."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import random

import pytest

from assay.runner import Outlook
from assay.runner.events import Advanced, Compiling, EpochDone, Event, Failed, Finished, Lost, Started
from assay.runner.progress import preparation, title
from assay.runner.tally import Tally
from assay.train import EpochRecord


def epoch(number: int, seconds: float) -> EpochRecord:
    return EpochRecord(number, 0, 0, 0, 0.9, 0, 0, 0, seconds)


def outlook(arms: dict[str, float], seeds: int, epochs: int, workers: int) -> Outlook:
    """Arms by name with their FLOPs, in the order in which a study hands its runs out."""
    runs = {f"{arm}-{seed}": arm for seed in range(seeds) for arm in arms}
    return Outlook(
        "s", len(runs), 0, dict.fromkeys(runs, ""), dict.fromkeys(runs, epochs), workers, runs,
        costs={run: arms[arm] for run, arm in runs.items()},
    )  # fmt: skip


@dataclasses.dataclass
class Play:
    """A study whose runs take known times: (when, event), in order.

    Args:
        seconds: Of an epoch, by arm.
        noise: How much single epochs differ, as a share.
        besides: Seconds of a run besides its epochs.
        start: Seconds until a worker's first run begins.
        steps: The part of an epoch that its steps take; evaluation is the rest.
        stops: Epochs after which runs stop by themselves.
    """

    outlook: Outlook
    seconds: dict[str, float]
    noise: float = 0.1
    besides: float = 0.2
    start: float = 2.0
    stops: int = 10**9
    steps: float = 0.8

    def events(self) -> list[tuple[float, Event]]:
        random_ = random.Random(7)
        lanes = [(self.start, lane) for lane in range(self.outlook.num_workers)]
        told: list[tuple[float, Event]] = []
        for run, arm in self.outlook.arms.items():
            now, lane = heapq.heappop(lanes)
            told.append((now, Started(run, {})))
            now += self.besides / 2
            for number in range(1, min(self.outlook.epochs[run], self.stops) + 1):
                took = self.seconds[arm] * random_.uniform(1 - self.noise, 1 + self.noise)
                for part in range(1, int(took * self.steps / 0.5) + 1):
                    told.append((now + 0.5 * part, Advanced(run, number, 0.5 * part / took / self.steps)))
                now += took
                told.append((now, EpochDone(run, epoch(number, took))))
            now += self.besides / 2
            told.append((now, Finished(run, 0, 0, "", "", 0)))
            heapq.heappush(lanes, (now, lane))
        return sorted(told, key=lambda pair: pair[0])


STUDIES = {
    "many short runs": (outlook({"a": 1, "b": 1}, 10, 40, 2), {"a": 0.03, "b": 0.035}, {}),
    "one long run": (outlook({"a": 1}, 1, 10, 2), {"a": 12.0}, {}),
    "epochs of a minute": (outlook({"a": 1, "b": 1}, 2, 3, 2), {"a": 60.0, "b": 70.0}, {}),
    "arms that differ eightfold": (outlook({"a": 1, "b": 8}, 6, 10, 2), {"a": 0.4, "b": 3.2}, {}),
    "one worker, unlike arms": (outlook({"a": 1, "b": 8}, 6, 10, 1), {"a": 0.4, "b": 3.2}, {}),
    "runs that stop early": (outlook({"a": 1}, 20, 50, 2), {"a": 0.5}, {"stops": 45}),
    "noisy epochs": (outlook({"a": 1, "b": 2}, 10, 20, 4), {"a": 0.5, "b": 1.0}, {"noise": 0.5}),
    "mostly data and weights": (outlook({"a": 1}, 30, 3, 2), {"a": 0.05}, {"besides": 0.4}),
}


@pytest.mark.parametrize("name", STUDIES)
def test_the_time_left_is_never_wrong_by_more_than_twice_after_five_seconds(name: str) -> None:
    what, seconds, options = STUDIES[name]
    now = [0.0]
    tally = Tally(what, lambda: now[0])
    events = Play(what, seconds, **options).events()
    end, waiting = events[-1][0], iter(events)
    following = next(waiting)
    checked = 0
    for tick in itertools.count(1):  # a display asks four times a second
        now[0] = tick * 0.25
        if now[0] >= end:
            break
        while following[0] <= now[0]:
            now[0], event = following
            tally.follow(event)
            following = next(waiting)
            now[0] = tick * 0.25
        left, truth = tally.seconds_left(), end - now[0]
        if now[0] >= 5.0 and truth > 1.0:  # below a second nobody reads it
            assert left is not None
            assert truth / 2 <= left <= truth * 2, (now[0], left, truth)
            checked += 1
    assert checked > 0


def test_within_an_epoch_the_estimate_goes_on() -> None:
    what, now = outlook({"a": 1}, 1, 2, 1), [0.0]
    tally = Tally(what, lambda: now[0])
    tally.follow(Started("a-0", {}))
    assert tally.seconds_left() is None
    now[0] = 10.0
    tally.follow(Advanced("a-0", 1, 0.25))
    assert tally.seconds_left() == pytest.approx(70.0)
    now[0] = 20.0  # nothing was heard since
    assert tally.seconds_left() == pytest.approx(60.0)
    now[0] = 40.0
    tally.follow(EpochDone("a-0", epoch(1, 40.0)))
    now[0] = 50.0
    assert tally.seconds_left() == pytest.approx(30.0)


def test_runs_that_stop_early_shorten_those_that_wait() -> None:
    tally = Tally(outlook({"a": 1}, 3, 100, 1), lambda: 0.0)
    tally.follow(Started("a-0", {}))
    for number in range(1, 11):
        tally.follow(EpochDone("a-0", epoch(number, 1.0)))
    tally.follow(Finished("a-0", 10.0, 0, "", "", 0))
    assert tally.seconds_left() == pytest.approx(20.0)


def test_lost_and_failed_runs_are_counted() -> None:
    tally = Tally(outlook({"a": 1}, 3, 10, 1), lambda: 0.0)
    tally.follow(Started("a-0", {}))
    tally.follow(EpochDone("a-0", epoch(1, 2.0)))
    tally.follow(Lost("a-0", "killed", False))
    assert tally.seconds_left() == pytest.approx(60.0)
    tally.follow(Started("a-0", {}))
    tally.follow(Failed("a-0", "diverged", "", ""))
    assert (tally.done, tally.failed, tally.queued) == (1, 1, 2)
    assert tally.seconds_left() == pytest.approx(40.0)


def test_it_says_which_kernels_are_compiled_and_for_how_long() -> None:
    now = [0.0]
    tally = Tally(outlook({"a": 1}, 2, 10, 2), lambda: now[0])
    assert preparation(tally) == "Starting worker processes: they load libraries and data"
    tally.follow(Compiling("a-0", ("conv_forward", "conv_forward", "dense")))
    now[0] = 3.0
    tally.follow(Compiling("a-1", ("dense", "max_pool", "softmax")))
    now[0] = 4.0
    assert preparation(tally) == (
        "Compiling kernels (conv forward, dense, max pool and 1 more) for 4 s: some seconds, once on this machine"
    )
    tally.follow(Started("a-0", {}))
    tally.follow(Started("a-1", {}))
    assert preparation(tally) == ""


def test_a_search_names_its_phase() -> None:
    what = dataclasses.replace(outlook({"a": 1}, 1, 1, 1), phase="search: 8 of 64 trials to 4 epochs")
    assert title(what) == "s, search: 8 of 64 trials to 4 epochs"
