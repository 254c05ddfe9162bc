"""Searches from facts: proposals, promotions and finalists, killed at any moment, in any order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assay import api
from assay.data import Dataset
from assay.errors import SpecError
from assay.search import standing_of
from assay.search.facts import pareto_front, scores_of
from assay.search.halving import design_of
from assay.spec import Study
from assay.spec.search import FRESH
from assay.store import StudyRecord, open_reader, open_writer
from assay.train.checkpoint import same_weights
from assay.train.engine import train

from .played import SPACE, Formula, Killed, choices, play, search_study

NUMBERS = {name: SPACE[name] for name in ("filters", "rate", "units")}
FIXED = ["conv {filters} 3x3 relu", "maxpool 2", "flatten", "dense {units} relu", "dense classes softmax"]
SEARCHES: dict[str, dict[str, Any]] = {
    "hyperband": {"constraints": ["parameters <= 3000"]},
    "asha": {"halving": {"method": "asha"}, "batch": 3},
    "random": {
        "sampler": "random",
        "halving": {"method": "hyperband", "max_epochs": 9},
        "constraints": "flops <= 9000",
    },
    "gp": {"sampler": "gp", "halving": None, "batch": 3, "trials": 14},
    "cma-es": {"sampler": "cma-es", "halving": None, "batch": 4, "space": NUMBERS, "layers": FIXED, "trials": 14},
    "nsga-ii": {"objective": ["validation_accuracy", "parameters"], "halving": None, "batch": 4},
    "replicates": {"halving": "successive-halving", "replicates": 2, "constraints": ["parameters <= 3000"]},
}


@pytest.mark.parametrize("kind", SEARCHES)
def test_the_order_in_which_runs_end_changes_no_choice(kind: str, tmp_path: Path) -> None:
    """Two workers end runs in another order than one."""
    study = search_study(**SEARCHES[kind])
    one = play(study, tmp_path / "one")
    assert choices(one) == choices(play(study, tmp_path / "two", executor=Formula(order=-1)))
    assert choices(one)[0] != choices(play(search_study(**SEARCHES[kind], seed=1), tmp_path / "other"))[0]


@pytest.mark.parametrize("kind", SEARCHES)
def test_a_search_killed_again_and_again_is_the_one_that_never_was(kind: str, tmp_path: Path) -> None:
    """Killed before each of its writes in turn, and begun anew every time."""
    study = search_study(**SEARCHES[kind])
    whole = play(study, tmp_path / "whole")
    num_kills, patience = 0, 1

    def kill(what: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    while True:
        left = patience
        try:
            killed = play(study, tmp_path / "killed", watch=kill)
            break
        except Killed:
            num_kills += 1
            patience += 1  # so that each session ends somewhere else
    assert num_kills > 10
    assert choices(killed) == choices(whole)


def test_a_search_goes_on_without_training_an_epoch_twice(tmp_path: Path) -> None:
    """Every run is trained once to each rung, and the whole search again trains nothing."""
    study, executor = search_study(), Formula()
    record = play(study, tmp_path, executor=executor)
    before = len(executor.trained)
    assert choices(play(study, tmp_path, executor=executor)) == choices(record)
    assert len(executor.trained) == before


def test_over_budget_costs_nothing_but_its_count(tmp_path: Path) -> None:
    study = search_study(constraints=["parameters <= 1500", "flops <= 8e3"])
    record = play(study, tmp_path)
    assert record.search is not None
    rejected = [one for one in record.search.candidates if one.trial is None]
    over = [one for one in rejected if one.costs["parameters"] > 1500 or one.costs["flops"] > 8000]
    assert len(over) > 3
    assert all("above" in one.reason for one in over)
    for one in record.search.trials.values():
        assert one.costs["parameters"] <= 1500
        assert one.costs["flops"] <= 8000
    assert {run.arm for run in record.search.runs} == {f"trial {trial}" for trial in record.search.trials}


def test_parameters_are_kerass_total(tmp_path: Path) -> None:
    """By hand: 3x3x1x2 + 2, batch norm's 4 x 2 with moving statistics, 2x3x3x16 + 16 and 16x10 + 10."""
    layers = ["conv {filters} 3x3 relu", "batchnorm", "maxpool 2", "flatten", "dense 16 relu", "dense classes softmax"]
    study = search_study(layers=layers, space={"filters": [2, 3], "rate": [0.001]}, halving=None, trials=2)
    record = play(study, tmp_path)
    assert record.search is not None
    costs = {one.chosen["filters"]: one.costs["parameters"] for one in record.search.candidates if one.trial}
    assert costs["2"] == (9 * 2 + 2) + 4 * 2 + (2 * 9 * 16 + 16) + (16 * 10 + 10)


def test_finalists_are_trained_anew_with_seeds_that_the_search_never_used(tmp_path: Path) -> None:
    record = play(search_study(seeds=3, finalists=2, seed=5, replicates=2), tmp_path)
    assert record.search is not None
    assert {run.seed for run in record.search.runs} == {5, 6}
    assert sorted(run.seed for run in record.runs) == sorted([FRESH, FRESH + 1, FRESH + 2] * 2)
    step = standing_of(record)
    study = Study.of(record.spec)
    scores = scores_of(study, record.search, design_of(study))
    last = [rung for rung in step.rungs if rung.epochs == 9]
    known = {t: s for rung in last for t in rung.trials if (s := scores[t][9]) is not None}
    best = sorted(known, key=lambda trial: -known[trial])[:2]
    arms = [arm.name for arm in sorted(record.arms, key=lambda arm: arm.position)]
    assert len(arms) == 2
    assert arms[: len(best)] == [f"trial {trial}" for trial in best]  # those that came furthest go first


def test_more_trials_and_seeds_go_on_with_the_same_search(tmp_path: Path) -> None:
    few = play(search_study(halving=None, trials=10, batch=4), tmp_path / "grown")
    grown = play(search_study(halving=None, trials=16, batch=4, seeds=3), tmp_path / "grown")
    at_once = play(search_study(halving=None, trials=16, batch=4, seeds=3), tmp_path / "at once")
    assert choices(grown) == choices(at_once)
    assert few.search is not None
    assert grown.search is not None
    assert grown.search.candidates[: len(few.search.candidates)] == few.search.candidates


CHANGES = {
    "search.space.filters.high": ({"space": {**SPACE, "filters": {"low": 2, "high": 9}}}, "8, and the file says 9"),
    "search.sampler": ({"sampler": "random"}, "nothing, and the file says random"),
    "training.batch_size": ({"training": {"batch_size": 64}}, "nothing, and the file says 64"),
    "search.constraints": ({"constraints": ["parameters <= 5000"]}, "parameters <= 5000"),
    "search.trials": ({"trials": 5}, "proposed, and the file says 5"),
}


@pytest.mark.parametrize("key", CHANGES)
def test_another_search_under_the_same_name_is_refused_with_what_changed(key: str, tmp_path: Path) -> None:
    change, told = CHANGES[key]
    before = play(search_study(), tmp_path)
    with pytest.raises(SpecError) as caught:
        play(search_study(**change), tmp_path)
    assert [problem.key for problem in caught.value.problems] == [key]
    assert told in str(caught.value)
    with open_reader(tmp_path) as reader:
        assert choices(reader.study("small")) == choices(before)


def test_a_constraint_that_nothing_meets_says_how_close_the_nearest_came() -> None:
    with pytest.raises(SpecError, match=r"none meets parameters <= 300: the nearest has 4\d\d parameters") as caught:
        api.check(search_study(constraints=["parameters <= 300"]))
    assert caught.value.problems[0].key == "search.constraints"
    with pytest.raises(SpecError, match="of 1,000 random candidates, none can be built"):
        api.check(
            search_study(layers=["konv {filters} 3x3 {activation}", *FIXED[1:4], "{drop}", "dense classes softmax"])
        )


def test_a_space_that_runs_out_ends_the_search_with_what_it_has(tmp_path: Path) -> None:
    layers = ["conv {filters} 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"]
    space = {"filters": [2, 3, 4], "rate": [0.001, 0.01]}
    record = play(search_study(layers=layers, space=space, halving=None, trials=20, sampler="random"), tmp_path)
    assert record.search is not None
    assert len(record.search.trials) == 6
    assert len({str(one.chosen) for one in record.search.trials.values()}) == 6


def test_the_test_split_stays_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(self: Dataset) -> None:
        raise AssertionError("the test split was opened")

    monkeypatch.setattr(Dataset, "test", opened)
    record = play(search_study(), tmp_path)
    assert record.search is not None
    assert all(run.test_accuracy is None for run in (*record.runs, *record.search.runs))
    assert record.looks == ()


TRAININGS: dict[str, dict[str, Any]] = {
    "one-cycle": {"schedule": "one-cycle", "augmentation": {"shift": 1}},
    "kept": {"schedule": "cosine", "keep": {"best": "validation_loss"}, "ema_momentum": 0.9},
    "plateau": {"schedule": {"name": "plateau", "patience": 1}, "precision": "float32"},
}


@pytest.mark.parametrize(
    ("kind", "norm"),
    [("kept", []), ("one-cycle", ["layernorm"]), ("plateau", ["layernorm"])],
    ids=["kept, fused", "one-cycle, plain", "plateau, plain"],
)
def test_a_promoted_run_is_the_run_that_was_trained_at_once(kind: str, norm: list[str], tmp_path: Path) -> None:
    """Paused after 1 and 3 of 5 epochs, each time gone on with from its checkpoint: the same bits, the same rates."""
    from assay.data import open_training

    from ..helpers import small_study, tasks_of

    layers = ["maxpool 2", "conv 4 3x3 relu", *norm, "dropout 0.3", "flatten", "dense classes softmax"]
    training = {"epochs": 5, "batch_size": 128, **TRAININGS[kind]}
    (task,) = tasks_of(
        small_study(network={"layers": layers}, factors={}, training=training, seeds={"count": 1}), tmp_path
    )
    data = open_training(task.images, task.labels)
    whole = train(task, data)
    path = tmp_path / "checkpoint.safetensors"
    for epochs in (1, 3):
        paused = train(replace(task, pause_after=epochs), data, checkpoint=path)
        assert paused.is_paused
        assert len(paused.history) == epochs
    promoted = train(task, data, checkpoint=path)
    assert same_weights(promoted.weights, whole.weights)
    for one, other in zip(promoted.history, whole.history, strict=True):
        assert replace(one, seconds=0) == replace(other, seconds=0)
    assert promoted.kept_epoch == whole.kept_epoch


def test_a_search_by_workers_is_the_same_with_one_and_with_two(tmp_path: Path) -> None:
    """On torch's layers, whose bits depend on the number of threads."""
    layers = ["conv {filters} 3x3 relu", "layernorm", "flatten", "dense classes softmax"]
    space = {"filters": {"low": 2, "high": 9}, "rate": {"low": 1e-3, "high": 1e-1, "log": True}}
    study = search_study(training={"epochs": 3}, layers=layers, space=space, trials=4, finalists=1, seeds=2)
    one, two = (api.run(study, store=tmp_path / str(n), workers=n) for n in (1, 2))
    assert choices(one.record) == choices(two.record)
    assert _scores(one.record) == _scores(two.record)
    assert one.best_file.read_bytes() == two.best_file.read_bytes()
    states = Counter(run.state for run in one.record.search.runs) if one.record.search else Counter()
    assert states["finished"] >= 2
    assert states["paused"] >= 2


def _scores(record: StudyRecord) -> dict[str, list[float]]:
    assert record.search is not None
    return {run.id: [epoch.validation_loss for epoch in run.epochs] for run in (*record.search.runs, *record.runs)}


def test_the_pareto_front_is_what_nothing_beats() -> None:
    values = {1: (0.9, 100), 2: (0.8, 50), 3: (0.8, 60), 4: (0.95, 200), 5: (0.9, 100)}
    assert pareto_front(values, [True, False]) == [1, 2, 4, 5]


def test_a_study_that_takes_a_searchs_place_is_no_search(tmp_path: Path) -> None:
    first = play(search_study(), tmp_path)
    with open_writer(tmp_path) as writer:
        writer.put_study(
            name="small", question="", spec={"name": "small"}, data=first.data, arms=(), members=(), runs=()
        )
    with open_reader(tmp_path) as reader:
        assert reader.study("small").search is None
    assert choices(play(search_study(seed=3), tmp_path)) == choices(play(search_study(seed=3), tmp_path / "other"))
