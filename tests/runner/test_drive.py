"""The driver against executors that misbehave on purpose, and the decisions it takes."""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from assay.data import entry, prepare
from assay.errors import DiskFull, SpecError, StoreError
from assay.numerals import whole_seconds
from assay.runner import Executor, Outlook, drive, make_plan, plans
from assay.runner.decisions import after_loss, is_due
from assay.runner.events import EpochDone, Event, Failed, Finished, Lost, NoSpace, Started
from assay.runner.plan import with_labels
from assay.runner.progress import Lines, Silent
from assay.runner.tally import Tally
from assay.spec import Study
from assay.store import StudyRecord, open_reader, open_writer
from assay.train import EpochRecord, Task

from ..helpers import small_study, tasks_of

Script = Callable[[Task, int], list[Event]]


class Scripted(Executor):
    """Plays events instead of training; ``script(task, attempt)`` says which."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.attempts: collections.Counter[str] = collections.Counter()
        self.pending: list[Event] = []
        self.is_closed = False

    def submit(self, task: Task) -> None:
        self.attempts[task.id] += 1
        self.pending += self.script(task, self.attempts[task.id])

    def poll(self, timeout_seconds: float) -> Sequence[Event]:
        events, self.pending = self.pending, []
        return events

    def close(self) -> None:
        self.is_closed = True


def success(task: Task, attempt: int) -> list[Event]:
    record = EpochRecord(1, 0.5, 0.8, 0.4, 0.9, 0.6, 0.7, 0.001, 1.5)
    return [Started(task.id, {}), EpochDone(task.id, record), Finished(task.id, 1.5, 1, "w", "hash", 1)]


def play(script: Script, store: Path, study: Study | None = None) -> tuple[StudyRecord, Scripted]:
    executor = Scripted(script)
    study = study or small_study()
    plan = make_plan(study, prepare("digits"), store)
    with open_writer(store) as writer, open_reader(store) as reader:
        drive(plan, writer, reader, lambda count, threads: executor, Silent(), num_workers=2)
        return reader.study(study.name), executor


def test_a_second_time_runs_nothing(tmp_path: Path) -> None:
    record, first = play(success, tmp_path)
    assert {run.state for run in record.runs} == {"finished"}
    assert sum(first.attempts.values()) == 4
    _, second = play(success, tmp_path)
    assert sum(second.attempts.values()) == 0


def test_more_seeds_run_only_the_new_ones(tmp_path: Path) -> None:
    play(success, tmp_path, small_study(seeds={"count": 3}))
    record, executor = play(success, tmp_path, small_study(seeds={"count": 5}))
    assert sum(executor.attempts.values()) == 4
    assert {run.seed for run in record.runs if run.id in executor.attempts} == {3, 4}
    assert len(record.runs) == 10


def test_seeds_that_start_later_are_other_seeds(tmp_path: Path) -> None:
    study = small_study(seeds={"count": 3})
    later = small_study(seeds={"count": 3, "start": 2})
    assert {task.seed for task in tasks_of(later, tmp_path)} == {2, 3, 4}
    shared = {task.id for task in tasks_of(study, tmp_path)} & {task.id for task in tasks_of(later, tmp_path)}
    assert {task.seed for task in tasks_of(study, tmp_path) if task.id in shared} == {2}
    with pytest.raises(SpecError, match="start is for a fixed count"):
        small_study(seeds={"stop": "decided", "start": 2})


def test_an_edited_arm_runs_only_that_arm(tmp_path: Path) -> None:
    play(success, tmp_path)
    record, executor = play(success, tmp_path, small_study(factors={"rate": [0.0, 0.4]}))
    assert {run.arm for run in record.runs if run.id in executor.attempts} == {"rate=0.4"}
    assert len(record.runs) == 4


def test_changing_the_training_runs_everything_anew(tmp_path: Path) -> None:
    play(success, tmp_path)
    _, executor = play(success, tmp_path, small_study(training={"epochs": 2, "batch_size": 65}))
    assert sum(executor.attempts.values()) == 4


def test_a_lost_run_is_retried_once_then_recorded(tmp_path: Path) -> None:
    def killed_once(task: Task, attempt: int) -> list[Event]:
        return [Started(task.id, {}), Lost(task.id, "killed", True)] if attempt == 1 else success(task, attempt)

    record, executor = play(killed_once, tmp_path / "once")
    assert {run.state for run in record.runs} == {"finished"}
    assert set(executor.attempts.values()) == {2}

    record, executor = play(lambda task, attempt: [Lost(task.id, "killed", True)], tmp_path / "always")
    assert {run.state for run in record.runs} == {"out of memory"}
    assert all("--workers 1" in run.advice for run in record.runs)
    assert set(executor.attempts.values()) == {2}
    assert executor.is_closed


def test_lost_runs_are_tried_again_next_time_and_diverged_ones_are_not(tmp_path: Path) -> None:
    def mixed(task: Task, attempt: int) -> list[Event]:
        if task.seed == 0:
            return [Failed(task.id, "diverged", "it grew", "shrink it")]
        return [Lost(task.id, "killed", True)]

    play(mixed, tmp_path)
    record, executor = play(success, tmp_path)
    assert {run.seed for run in record.runs if run.id in executor.attempts} == {1}
    assert [run.state for run in record.runs] == ["diverged", "finished", "diverged", "finished"]


def test_a_full_disk_stops_the_study_and_keeps_what_was_finished(tmp_path: Path) -> None:
    def full(task: Task, attempt: int) -> list[Event]:
        return success(task, attempt) if task.seed == 0 else [Started(task.id, {}), NoSpace(task.id, "no room")]

    with pytest.raises(DiskFull, match="no room"):
        play(full, tmp_path)
    with open_reader(tmp_path) as reader:
        states = [run.state for run in reader.study("small").runs]
    assert states == ["finished", "queued", "finished", "queued"]


def test_arms_that_say_the_same_share_their_runs(tmp_path: Path) -> None:
    layers = ["flatten", "dense classes softmax"]
    study = small_study(network=None, factors={}, arms=[{"name": n, "layers": layers} for n in ("one", "two")])
    record, executor = play(success, tmp_path, study)
    assert sum(executor.attempts.values()) == 2
    assert [(run.arm, run.state) for run in record.runs] == [
        ("one", "finished"), ("one", "finished"), ("two", "finished"), ("two", "finished"),
    ]  # fmt: skip


def test_what_is_left_of_a_plan_has_the_threads_that_the_whole_had(tmp_path: Path) -> None:
    def all_but_one(task: Task, attempt: int) -> list[Event]:
        is_lost = task.seed == 1 and "dropout 0.3" in task.arm.layers
        return [Lost(task.id, "killed", True)] if is_lost else success(task, attempt)

    asked: list[tuple[int, int]] = []

    def run(script: Script, store: Path, study: Study) -> None:
        def make(count: int, threads: int) -> Executor:
            asked.append((count, threads))
            return Scripted(script)

        plan = make_plan(study, prepare("digits"), store)
        with open_writer(store) as writer, open_reader(store) as reader:
            drive(plan, writer, reader, make, Silent(), num_workers=2)

    run(all_but_one, tmp_path / "four", small_study())
    run(success, tmp_path / "four", small_study())
    assert asked == [(2, 1), (1, 1)]
    run(success, tmp_path / "one", small_study(factors={"rate": [0.0]}, seeds={"count": 1}))
    assert asked[-1] == (1, 2)


def test_decisions_are_pure_functions() -> None:
    assert [is_due(state) for state in (None, "queued", "running", "failed", "out of memory")] == [True] * 5
    assert [is_due(state) for state in ("finished", "diverged")] == [False, False]
    assert [after_loss(n) for n in (1, 2, 3)] == ["retry", "give up", "give up"]


def test_lines_tell_what_happens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = make_plan(small_study(), prepare("digits"), tmp_path)

    def script(task: Task, attempt: int) -> list[Event]:
        return success(task, attempt) if task.seed == 0 else [Failed(task.id, "diverged", "it grew", "shrink it")]

    with open_writer(tmp_path) as writer, open_reader(tmp_path) as reader:
        drive(plan, writer, reader, lambda count, threads: Scripted(script), Lines(), num_workers=2)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "small: 4 runs, 0 done before, 4 to do"
    assert lines[1] == "[1/4] rate=0, seed 0: 90.00 % validation accuracy in 1.5 s"
    assert lines[-1] == "[4/4] rate=0.3, seed 1: diverged: it grew; shrink it"


def test_a_line_that_would_say_the_same_waits(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr("assay.runner.progress.time.monotonic", lambda: now[0])
    lines = Lines()
    lines.begin(Outlook("small", 1, 0, {"a": "rate=0, seed 0"}, {"a": 2}, 1))
    for now[0] in (11.0, 22.0, 33.0, 80.0):
        lines.tick()
    assert (
        capsys.readouterr().err.splitlines()[1:]
        == ["0 done, 0 running, 1 queued; starting worker processes: they load libraries and data"] * 2
    )


def test_a_run_that_stops_early_counts_by_the_epoch_that_it_keeps() -> None:
    tally = Tally(Outlook("s", 2, 0, dict.fromkeys("ab", ""), dict.fromkeys("ab", 10), 1), lambda: 0.0)
    tally.follow(Started("a", {}))
    for epoch, accuracy in ((1, 0.5), (2, 0.9), (3, 0.7)):
        tally.follow(EpochDone("a", EpochRecord(epoch, 0, 0, 0, accuracy, 0, 0, 0, 3.0)))
    tally.follow(Finished("a", 9.0, 0, "", "", 0, kept_epoch=2))
    assert tally.seconds_left() == pytest.approx(3 * 3.0)  # the other one is taken to stop there, too
    assert tally.accuracy["a"] == 0.9


def test_every_seed_runs_every_fold_of_every_arm(tmp_path: Path) -> None:
    study = small_study(data={"name": "digits", "validation": "3-fold"})
    record, executor = play(success, tmp_path, study)
    assert [(run.seed, run.fold) for run in record.runs_of("rate=0.3")] == [(s, f) for s in (0, 1) for f in (1, 2, 3)]
    assert sum(executor.attempts.values()) == 12
    assert len({run.id for run in record.runs}) == 12


def test_class_weights_are_told_by_name_or_by_label(tmp_path: Path) -> None:
    from assay.runner import check_networks

    def labels(weights: dict[str, float], name: str = "digits") -> object:
        study = small_study(data={"name": name}, training={"class_weights": weights})
        check_networks(study)
        arm = study.expand()[0]
        return with_labels(arm, entry(name).info).training.class_weights

    assert labels({"3": 2.0}) == {"3": 2.0}
    assert labels({"Bag": 2.0, "0": 0.5}, "fashion_mnist") == {"0": 0.5, "8": 2.0}
    with pytest.raises(SpecError, match=r'training.class_weights.Bags: fashion_mnist has no class "Bags"; did.*"Bag"'):
        labels({"Bags": 2.0}, "fashion_mnist")


def test_time_left_is_epochs_left_over_lanes() -> None:
    tally = Tally(Outlook("s", 4, 1, dict.fromkeys("abcd", ""), dict.fromkeys("abcd", 10), 2), lambda: 0.0)
    assert tally.seconds_left() is None
    assert tally.is_starting
    tally.follow(Started("a", {}))
    assert not tally.is_starting
    tally.follow(Started("b", {}))
    for epoch in (1, 2):
        tally.follow(EpochDone("a", EpochRecord(epoch, 0, 0, 0, 0, 0, 0, 0, 3.0)))
    assert tally.seconds_left() == pytest.approx((8 + 10) * 3.0)  # what is left of a, then the run that waits
    assert (tally.done, tally.queued) == (1, 1)
    assert [whole_seconds(s) for s in (41.2, 200, 7500)] == ["41 s", "3 min 20 s", "2 h 5 min"]


def test_folds_count_as_runs_that_share_the_cores(tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []

    def make(count: int, threads: int) -> Executor:
        asked.append((count, threads))
        return Scripted(success)

    data = {"name": "digits", "validation": "5-fold"}
    for number, rates in enumerate(([0.0, 0.3], [0.0])):
        study = small_study(data=data, seeds={"count": 1}, factors={"rate": rates})
        store = tmp_path / str(number)
        plan = make_plan(study, prepare("digits"), store)
        with open_writer(store) as writer, open_reader(store) as reader:
            drive(plan, writer, reader, make, Silent(), num_workers=8)
    assert asked == [(8, 1), (5, 1)]  # ten runs, then five


def test_only_a_study_that_the_store_does_not_know_is_a_new_one(tmp_path: Path, monkeypatch: Any) -> None:
    """A store that cannot be read is no reason to begin from the first batch of seeds."""
    study = small_study(seeds={"stop": "decided", "min": 6, "max": 20})
    with open_writer(tmp_path) as writer, open_reader(tmp_path) as reader:
        plan = next(plans(study, prepare("digits"), tmp_path, reader, writer))
        assert {task.seed for task in plan.tasks} == set(range(6))

        def damaged(name: str, *, is_brief: bool = False) -> StudyRecord:
            raise StoreError("the store's database is damaged")

        monkeypatch.setattr(reader, "study", damaged)
        with pytest.raises(StoreError, match="damaged"):
            next(plans(study, prepare("digits"), tmp_path, reader, writer))


def test_a_failed_run_is_tried_once_however_often_a_study_asks_for_more_seeds(tmp_path: Path) -> None:
    def script(task: Task, attempt: int) -> list[Event]:
        if "dropout 0.3" in task.arm.layers:
            return [Failed(task.id, "failed", "it broke", "mend it")]
        score = 0.9 + 0.001 * (task.seed % 3) * (-1 if "dropout 0.6" in task.arm.layers else 1)
        record = EpochRecord(1, 0.5, 0.8, 0.4, score, 0.6, 0.7, 0.001, 1.5)
        return [Started(task.id, {}), EpochDone(task.id, record), Finished(task.id, 1.5, 1, "w", "hash", 1)]

    study = small_study(factors={"rate": [0.0, 0.3, 0.6]}, seeds={"stop": "decided", "min": 6, "max": 20})
    attempts: collections.Counter[str] = collections.Counter()
    rounds = 0
    with open_writer(tmp_path) as writer, open_reader(tmp_path) as reader:
        for plan in plans(study, prepare("digits"), tmp_path, reader, writer):
            executor = Scripted(script)
            drive(plan, writer, reader, lambda count, threads, e=executor: e, Silent(), num_workers=2)
            attempts += executor.attempts
            rounds += 1
    assert rounds > 2
    assert set(attempts.values()) == {1}
