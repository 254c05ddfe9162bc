"""Searches from facts: proposals, promotions and finalists, killed at any moment, in any order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from assay import api
from assay.data import Dataset
from assay.errors import SpecError
from assay.nets import summary_of
from assay.nets.fixed_point import costs_of, lower
from assay.search import step_of
from assay.search.facts import pareto_front, scores_of
from assay.search.halving import design_of
from assay.spec import Study
from assay.spec.search import FRESH
from assay.store import StudyRecord, open_reader, open_writer
from assay.train.engine import train

from ..helpers import same_weights
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
    "exhausted": {
        "sampler": "random",
        "halving": None,
        "trials": 20,
        "space": {"filters": [2, 3, 4], "rate": [0.001, 0.01]},
        "layers": ["conv {filters} 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"],
    },
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
    step = step_of(record)
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
    "search.trials": ({"trials": 5}, "14 trials have been proposed, and the file asks for 9"),
    "search.space.drop.choices": (
        {"space": {**SPACE, "drop": dict(reversed(SPACE["drop"].items()))}},
        "['none', 'some'], and the file says ['some'",
    ),
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


def test_trials_that_are_left_out_are_as_many_as_without(tmp_path: Path) -> None:
    play(search_study(halving=None, trials=60, batch=20, sampler="random"), tmp_path)
    with pytest.raises(SpecError, match="60 trials have been proposed, and the file asks for 50"):
        play(search_study(halving=None, trials=None, batch=20, sampler="random"), tmp_path)


def test_a_number_of_trials_that_asks_for_the_same_brackets_is_no_change(tmp_path: Path) -> None:
    before = play(search_study(trials=12), tmp_path)
    assert choices(play(search_study(trials=13), tmp_path)) == choices(before)


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cma-es", "nsga-ii", "tpe and asha"])
def test_a_batch_that_was_cut_is_filled_up_as_if_it_had_not_been(sampler: str, tmp_path: Path) -> None:
    search: dict[str, Any] = {"sampler": sampler.split()[0], "batch": 4}
    search["halving"] = "asha" if "asha" in sampler else None
    search |= {"space": NUMBERS, "layers": FIXED} if sampler == "cma-es" else {}
    play(search_study(trials=14, **search), tmp_path / "grown")
    grown = play(search_study(trials=20, **search), tmp_path / "grown")
    at_once = play(search_study(trials=20, **search), tmp_path / "at once")
    assert choices(grown) == choices(at_once)


def test_a_limit_that_is_not_measured_yet_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none meets .*: the nearest has 4\d\d parameters \("):
        api.check(search_study(constraints=["parameters <= 300", "seconds <= 60"]))
    with pytest.raises(SpecError, match=r"none meets parameters <= 0: the nearest has [\d,]+ parameters"):
        api.check(search_study(constraints=["parameters <= 0"]))


@pytest.mark.parametrize("place", ["layers", "training", "level"])
def test_a_field_that_a_level_lacks_is_told(place: str) -> None:
    space = {**SPACE, "how": {"a": {"size": 32}, "b": {"size": 64}}}
    word, training = "dropout 0.1", {}
    match place:
        case "layers":
            word = "dropout {how.share}"
        case "training":
            training = {"batch_size": "{how.sizes}"}
        case "level":
            space["drop"] = {"none": ["dropout {how.share}"], "some": ["dropout {share}"]}
    layers = [*FIXED[:3], word, "dense {units} {activation}", "{drop}", "dense classes softmax"]
    if place != "training":
        training = {"batch_size": "{how.size}"}
    study = search_study(training, layers=layers, space=space)
    chosen = {"filters": 3, "rate": 0.01, "units": 32, "activation": "relu", "drop": "none", "how": "a"}
    with pytest.raises(SpecError, match=r"\{how\.\w+\} is no field of its level"):
        study.candidate("trial 1", chosen)


def test_a_constraint_that_nothing_meets_says_how_close_the_nearest_came() -> None:
    with pytest.raises(SpecError, match=r"none meets parameters <= 300: the nearest has 4\d\d parameters") as caught:
        api.check(search_study(constraints=["parameters <= 300"]))
    assert caught.value.problems[0].key == "search.constraints"
    with pytest.raises(SpecError, match="of 1,000 random candidates, none can be built"):
        api.check(
            search_study(layers=["konv {filters} 3x3 {activation}", *FIXED[1:4], "{drop}", "dense classes softmax"])
        )


PROGRAM = ["bytes <= 1000", "ram <= 400", "multiply_adds <= 5e3", "microseconds on cortex-m4 <= 1500"]


def test_budgets_of_the_program_that_c_export_writes(tmp_path: Path) -> None:
    """Each candidate's costs are those of its own program, and none that is trained exceeds one."""
    study = search_study(constraints=PROGRAM)
    record = play(study, tmp_path)
    assert record.search is not None
    limits = {"bytes": 1000, "ram": 400, "multiply_adds": 5000, "microseconds on cortex-m4": 1500}
    for one in record.search.trials.values():
        summary = summary_of(study.candidate("candidate", one.chosen), (8, 8, 1), 10)
        costs = costs_of(lower(summary))
        assert one.costs["bytes"] == costs.bytes
        assert one.costs["ram"] == costs.ram
        assert one.costs["microseconds on cortex-m4"] == costs.microseconds["cortex-m4"]
        assert all(one.costs[name] <= limit for name, limit in limits.items())
    over = [one for one in record.search.candidates if one.trial is None and "above" in one.reason]
    assert any("bytes of RAM, above 400" in one.reason or "bytes, above 1,000" in one.reason for one in over)


def test_bytes_are_an_objective(tmp_path: Path) -> None:
    study = search_study(objective=["validation_accuracy", "bytes"], halving=None, trials=10)
    record = play(study, tmp_path)
    assert record.search is not None
    assert all(set(one.costs) == {"parameters", "flops", "bytes"} for one in record.search.trials.values())


def test_a_program_budget_that_nothing_meets_names_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"none meets bytes <= 100: the nearest has [\d,]+ bytes \("):
        api.check(search_study(constraints=["bytes <= 100"]))
    layers = [*FIXED[:3], "dense 3000", "dense {units} {activation}", "{drop}", "dense classes softmax"]
    with pytest.raises(
        SpecError, match=r"none can be written in C: it has [\d,]+ parameters, and a C header holds 100,"
    ):
        api.check(search_study(layers=layers, constraints=["bytes <= 100000"]))


def test_seconds_are_estimated_from_one_measurement_that_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three forward passes of every image and epoch, at the speed that was measured when the search began."""
    speeds = iter([1e9])
    monkeypatch.setattr("assay.runner.speed.measured_speed", lambda task, network: next(speeds))
    study = search_study(constraints=["seconds <= 0.24"], halving=None, trials=9, batch=4)

    def kill(what: str) -> None:
        if what == "put_paused" or (what == "put_finished" and not finished):
            finished.append(what)
            raise Killed

    finished: list[str] = []
    with pytest.raises(Killed):
        play(study, tmp_path, watch=kill)
    record = play(study, tmp_path)  # measures nothing: there is no second speed
    assert record.search is not None
    images = record.data["num_training"] - round(0.2 * record.data["num_training"])
    for one in record.search.candidates:
        assert one.costs["seconds"] == pytest.approx(3 * one.costs["flops"] * images * 9 / 1e9)
        assert (one.trial is None) == (one.costs["seconds"] > 0.24)
    assert any(one.trial is None for one in record.search.candidates)


def test_speed_is_measured_on_one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Layers that torch trains would else go as fast as on all cores, which no run of many has."""
    seen: list[int] = []

    class Watched:
        def train_batch(self, *given: Any, **named: Any) -> tuple[float, int]:
            seen.append(torch.get_num_threads())
            return 0.0, 0

    monkeypatch.setattr("assay.train.engine.learner_of", lambda task, data: Watched())
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        play(search_study(constraints=["seconds <= 1e9"], trials=9), tmp_path)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}


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


@pytest.mark.usefixtures("worker_processes")
def test_a_search_by_workers_is_the_same_with_one_and_with_two(tmp_path: Path) -> None:
    """On torch's layers, whose bits depend on the number of threads."""
    layers = ["conv {filters} 3x3 relu", "layernorm", "flatten", "dense classes softmax"]
    space = {"filters": {"low": 2, "high": 9}, "rate": {"low": 1e-3, "high": 1e-1, "log": True}}
    study = search_study(training={"epochs": 3}, layers=layers, space=space, trials=4, finalists=1, seeds=2)
    one, two = (api.run(study, store=tmp_path / str(n), workers=n) for n in (1, 2))
    assert choices(one.record) == choices(two.record)
    assert _scores(one.record) == _scores(two.record)
    assert one.best_file.read_bytes() == two.best_file.read_bytes()
    assert not list(tmp_path.rglob("checkpoint*"))  # who never goes on leaves none behind
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
