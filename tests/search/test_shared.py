"""Searches that meet in a run, a name or a store: what one has done, the other leaves as it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from assay.data import prepare
from assay.runner import drive
from assay.runner.progress import Silent
from assay.runner.worker import CHECKPOINT
from assay.search import search_plans
from assay.store import ArmRecord, State, open_reader, open_writer, run_folder

from .played import Formula, Killed, choices, play, search_study

PLAIN = {"name": "small", "data": {"name": "digits"}, "network": {"layers": ["flatten", "dense classes softmax"]}}


def test_a_search_uses_what_another_has_trained_and_leaves_it_as_it_is(tmp_path: Path) -> None:
    """The second asks for fewer epochs of some runs that the first has stopped, and sees others that failed there."""
    first = play(search_study(), tmp_path)
    assert first.search is not None
    held = {run.id: len(run.epochs) for run in first.search.runs}
    executor = Formula()
    tight = search_study(constraints=["parameters <= 3000"])
    second = play(tight.model_copy(update={"name": "tight"}), tmp_path, executor=executor)
    assert second.search is not None
    shared = {run.id for run in second.search.runs} & set(held)
    assert any(
        held[run.id] > len(run.epochs) for run in play(tight, tmp_path / "alone").search.runs if run.id in shared
    )
    with open_reader(tmp_path) as reader:
        again = reader.study("small")
    assert choices(again) == choices(first)
    fewer = {run for run, _ in executor.trained} & shared
    assert all(count > held[run] for run, count in Counter(run for run, _ in executor.trained).items() if run in fewer)


@pytest.mark.parametrize("state", ["queued", "paused"])
def test_what_another_search_can_go_on_with_is_left_to_it(state: str, tmp_path: Path) -> None:
    """Stopped behind its third epoch of nine, its checkpoint there, a run is wanted for one epoch by another search."""
    first = play(search_study(), tmp_path)
    assert first.search is not None
    run = next(run for run in first.search.runs if run.state == "paused" and len(run.epochs) == 3)
    with open_writer(tmp_path) as writer:
        writer.put_started("small", run.id, {})
        if state == "queued":
            writer.requeue_interrupted()
        else:
            writer.put_paused(run.id, 1.0)
    (run_folder(tmp_path, run.id) / CHECKPOINT).parent.mkdir(parents=True, exist_ok=True)
    (run_folder(tmp_path, run.id) / CHECKPOINT).touch()
    study = search_study(finalists=1).model_copy(update={"name": "other"})
    with open_writer(tmp_path) as writer, open_reader(tmp_path) as reader:
        plan = next(search_plans(study, prepare(study.data), tmp_path, reader, writer))
        assert run.id in plan.settled
        drive(plan, writer, reader, lambda count, threads: Formula(), Silent(), num_workers=1)
    assert (run_folder(tmp_path, run.id) / CHECKPOINT).exists()


@pytest.mark.parametrize(("state", "is_tried_again"), [("out of memory", True), ("diverged", False)])
def test_what_failed_in_no_search_is_tried_again_unless_it_diverged(
    state: State, is_tried_again: bool, tmp_path: Path
) -> None:
    wanted = play(search_study(), tmp_path / "alone").search
    assert wanted is not None
    one = wanted.runs[0]
    with open_writer(tmp_path / "store") as writer:
        put = {"name": "plain", "question": "", "spec": PLAIN, "data": {}, "arms": [ArmRecord("a", 0, {}, {})]}
        writer.put_study(**put, members=[("a", one.seed, None, one.id)], runs=[(one.id, one.seed, 9, {})])
        writer.put_failed("plain", one.id, state=state, reason="so it was", advice="")
    executor = Formula()
    play(search_study(), tmp_path / "store", executor=executor)
    assert (one.id in {run for run, _ in executor.trained}) == is_tried_again


def test_a_search_that_takes_anothers_name_begins_with_nothing_of_it(tmp_path: Path) -> None:
    one, other = search_study(), search_study(seed=3, constraints=["parameters <= 1500"])
    wanted = play(other, tmp_path / "alone")
    play(one, tmp_path / "store")
    with open_writer(tmp_path / "store") as writer:
        writer.put_study(name="small", question="", spec=PLAIN, data={}, arms=[], members=[], runs=[])
    writes: list[str] = []

    def kill(what: str) -> None:
        writes.append(what)
        if len(writes) == 2:
            raise Killed

    with pytest.raises(Killed):
        play(other, tmp_path / "store", watch=kill)
    assert choices(play(other, tmp_path / "store"))[0] == choices(wanted)[0]


def test_more_trials_keep_the_checkpoints_of_runs_that_wait(tmp_path: Path) -> None:
    def kill(what: str) -> None:
        paused.append(what == "put_paused")
        if sum(paused) == 9 and what != "put_paused":
            raise Killed

    paused: list[bool] = []
    with pytest.raises(Killed):
        play(search_study(trials=9, sampler="random"), tmp_path, watch=kill)
    study = search_study(trials=17, sampler="random")
    with open_writer(tmp_path) as writer, open_reader(tmp_path) as reader:
        search = reader.study("small").search
        assert search is not None
        assert {run.state for run in search.runs} <= {"paused", "diverged"}
        for run in search.runs:
            folder = run_folder(tmp_path, run.id)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / CHECKPOINT).touch()
        plan = next(search_plans(study, prepare(study.data), tmp_path, reader, writer))
        going = {task.id for _, task in plan.members} & {run.id for run in search.runs}
        assert len(going) == 3
        assert all((run_folder(tmp_path, run) / CHECKPOINT).exists() for run in going)
