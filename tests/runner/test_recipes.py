"""Ensembles and students in studies: order of runs, failed teachers, exports, predictions, explanations, searches."""

from __future__ import annotations

import collections
import contextlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay.data import prepare
from assay.errors import SpecError
from assay.runner import drive, make_plan
from assay.runner.events import Event, Failed, Lost, Started
from assay.runner.progress import Silent
from assay.spec import Study
from assay.store import StudyRecord, open_reader, open_writer
from assay.train import Task
from assay.train.checkpoint import load_weights

from ..helpers import output_of, same_weights, small_study
from .test_drive import Scripted, play, success

SMALL = ["flatten", "dense classes softmax"]
TAUGHT = {
    "factors": {},
    "network": {"layers": SMALL},
    "arms": [
        {"name": "student", "training": {"distillation": {"teacher": "pair", "temperature": 2.0}}},
        {"name": "pair", "layers": ["conv 4 3x3 relu", "maxpool 2", *SMALL], "training": {"ensemble": 2}},
    ],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A store with a study of an ensemble and its student, finished."""
    store = tmp_path_factory.mktemp("taught") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared_cache))
        assay.run(small_study(**TAUGHT), store=store)
    return store


def test_a_student_is_trained_when_its_teacher_has_finished(tmp_path: Path) -> None:
    order: list[str] = []

    def script(task: Task, attempt: int) -> list[Event]:
        order.append(task.arm.name)
        assert task.arm.name == "pair" or {"pair"} <= set(order)
        return success(task, attempt)

    record, executor = play(script, tmp_path, small_study(**TAUGHT))
    assert sorted(order) == ["pair", "pair", "student", "student"]
    assert {run.state for run in record.runs} == {"finished"}
    _, again = play(script, tmp_path, small_study(**TAUGHT))
    assert not again.attempts
    assert executor.is_closed


def test_a_student_whose_teacher_fails_has_failed_and_says_why(tmp_path: Path) -> None:
    def script(task: Task, attempt: int) -> list[Event]:
        if task.arm.name == "pair" and task.seed == 0:
            return [Started(task.id, {}), Failed(task.id, "failed", "it broke", "mend it")]
        return success(task, attempt)

    record, executor = play(script, tmp_path, small_study(**TAUGHT))
    states = {(run.arm, run.seed): run for run in record.runs}
    assert states["pair", 1].state == states["student", 1].state == "finished"
    student = states["student", 0]
    assert (student.state, student.reason) == ("failed", "its teacher has not finished: pair, seed 0")
    assert "both are trained" in student.advice
    assert sum(executor.attempts.values()) == 3
    record, again = play(success, tmp_path, small_study(**TAUGHT))  # run again, both are trained
    assert {run.state for run in record.runs} == {"finished"}
    assert sum(again.attempts.values()) == 2


def test_a_student_waits_for_a_teacher_that_is_lost_and_tried_again(tmp_path: Path) -> None:
    def script(task: Task, attempt: int) -> list[Event]:
        if task.arm.name == "pair" and task.seed == 0 and attempt == 1:
            return [Started(task.id, {}), Lost(task.id, "killed", is_memory=False)]
        return success(task, attempt)

    record, executor = play(script, tmp_path, small_study(**TAUGHT))
    assert {run.state for run in record.runs} == {"finished"}
    assert sum(executor.attempts.values()) == 5


def test_a_student_learns_from_its_own_seed_s_teacher(finished: Path, tmp_path: Path) -> None:
    study = small_study(**TAUGHT)
    record = assay.result("small", store=finished).record
    plan = make_plan(study, prepare("digits"), finished)
    teachers = {(arm, task.seed): task.id for arm, task in plan.members}
    for arm, task in plan.members:
        assert task.teacher_run == ("" if arm == "pair" else teachers["pair", task.seed])
        assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task
    assert {run.id for run in record.runs} == set(teachers.values())
    fixed = {
        "factors": {},
        "data": {"name": "digits", "validation": "last 20%"},
        "network": {"layers": SMALL},
        "arms": [{"name": "a"}, {"name": "b", "training": {"distillation": {"teacher": "a", "seed": 1}}}],
    }
    tasks = make_plan(small_study(**fixed), prepare("digits"), tmp_path).members
    assert {task.teacher_seed for arm, task in tasks if arm == "b"} == {1}
    assert len({task.teacher_run for arm, task in tasks if arm == "b"}) == 1


@pytest.mark.slow
def test_workers_train_an_ensemble_and_its_student_to_the_same_bits(
    finished: Path, tmp_path: Path, worker_processes: None
) -> None:
    assay.run(small_study(**{**TAUGHT, "seeds": {"count": 1}}), store=tmp_path / "store", workers=2)
    ours = assay.result("small", store=tmp_path / "store").record
    theirs = {run.id: run for run in assay.result("small", store=finished).record.runs}
    for run in ours.runs:
        assert run.weights_path is not None
        assert run.weights_sha256 == theirs[run.id].weights_sha256


def test_an_ensemble_s_run_predicts_and_reveals_by_the_mean(finished: Path) -> None:
    record = assay.result("small", store=finished).record
    run = next(run for run in record.runs if run.arm == "pair" and run.seed == 0)
    model = assay.find(run.id[:12], store=finished).model()
    images, labels = model.validation()
    probabilities = model.probabilities(images)
    assert model.summary.members == 2
    assert (probabilities.argmax(1) == labels).mean() == pytest.approx(run.kept.validation_accuracy)  # type: ignore[union-attr]
    frame = assay.predict(run.id[:12], images[:50], store=finished)
    columns = frame[[column for column in frame.columns if column in model.classes]].to_numpy()
    assert np.allclose(columns, probabilities[:50], atol=1e-4)
    many = assay.predict("small", images[:50], arm="pair", store=finished)
    assert len(many) == 50
    revealed = assay.result("small", store=finished).reveal()
    assert revealed is not None


def test_it_is_exported_as_one_file_where_that_can_hold_it(finished: Path, tmp_path: Path) -> None:
    record = assay.result("small", store=finished).record
    run = next(run for run in record.runs if run.arm == "pair" and run.seed == 1)
    from assay.results.run import export

    exported = export(run.id[:12], "onnx", "torch", "safetensors", folder=tmp_path / "files", store=finished)
    assert {file.format for file in exported.files} == {"onnx", "torch", "safetensors"}
    assert "2 networks, whose mean probability is the answer" in exported.card.read_text()
    spec = json.loads((tmp_path / "files" / "model.json").read_text())
    assert spec["members"] == 2
    for form, words in (
        ("c", "an ensemble of 2 networks, and a C header or LiteRT file holds one"),
        ("keras", "an ensemble of 2"),
    ):
        with pytest.raises(SpecError, match=words):
            export(run.id[:12], form, folder=tmp_path / form, store=finished)


def test_it_is_explained_by_its_first_member(finished: Path) -> None:
    record = assay.result("small", store=finished).record
    run = next(run for run in record.runs if run.arm == "pair" and run.seed == 0)
    explanation = assay.find(run.id[:12], store=finished).explain(only=("kernels", "confusion"))
    assert "an ensemble of 2; layers are the first one's" in explanation.title
    assert {picture.kind for picture in explanation} == {"kernels", "confusion"}
    weights = load_weights(finished / (run.weights_path or ""), run.weights_sha256 or "")
    kernel = weights["member1.conv1.kernel"].numpy()
    assert explanation["kernels"].data["largest"] == pytest.approx(float(np.abs(kernel).max()))


def test_describe_counts_all_members(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "small.toml"
    from assay.spec import study_toml

    file.write_text(study_toml(small_study(**TAUGHT)))
    output = output_of(capsys, "describe", str(file), "--arm", "pair")
    assert "An ensemble of 2 such networks" in output
    one = 4 * 9 + 4 + 10 * (4 * 9 + 1)
    assert f"{2 * one:,} parameters" in output


def test_a_student_is_not_trained_again_on_validation_images(finished: Path) -> None:
    with pytest.raises(SpecError, match="without --retrain"):
        assay.result("small", store=finished).reveal(retrain="student")


def test_a_run_of_a_student_resumes_in_a_study(tmp_path: Path) -> None:
    """Interrupted while the teacher trains: what is left is trained, and nothing twice."""
    study = small_study(**TAUGHT)
    plan = make_plan(study, prepare("digits"), tmp_path)
    trained: collections.Counter[str] = collections.Counter()

    class Stops(Scripted):
        def poll(self, timeout_seconds: float) -> Sequence[Event]:
            if sum(trained.values()) == 1:
                raise KeyboardInterrupt
            return super().poll(timeout_seconds)

    def script(task: Task, attempt: int) -> list[Event]:
        if trained:
            return []
        trained[task.id] += 1
        return success(task, attempt)

    def record_of(executor: Any) -> StudyRecord:
        with open_writer(tmp_path) as writer, open_reader(tmp_path) as reader:
            with contextlib.suppress(KeyboardInterrupt):
                drive(plan, writer, reader, lambda count, threads: executor, Silent(), num_workers=2)
            return reader.study(study.name)

    record_of(Stops(script))
    record = record_of(Scripted(success))
    assert {run.state for run in record.runs} == {"finished"}


TUNED = {
    "factors": {},
    "network": {"layers": SMALL},
    "arms": [
        {"name": "default"},
        {
            "name": "tuned",
            "layers": ["flatten", "dense {units} relu", "dense classes softmax"],
            "training": {"optimizer": {"name": "adam", "learning_rate": "{rate}"}},
            "search": {
                "trials": 3,
                "sampler": "random",
                "space": {"rate": {"low": 1e-4, "high": 0.1, "log": True}, "units": [4, 16]},
            },
        },
    ],
}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    store = tmp_path_factory.mktemp("tuned") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared_cache))
        assay.run(small_study(**TUNED), store=store)
    return store


def test_each_seed_of_a_searching_arm_trains_the_best_of_a_search_of_its_own(tuned: Path) -> None:
    record = assay.result("small", store=tuned).record
    assert sorted(assay.studies(tuned)) == ["small", "small.tuned.seed0", "small.tuned.seed1"]
    runs = {(run.arm, run.seed): run for run in record.runs}
    assert set(runs) == {(arm, seed) for arm in ("default", "tuned") for seed in (0, 1)}
    trials = []
    for seed in (0, 1):
        search = assay.result(f"small.tuned.seed{seed}", store=tuned).record
        assert search.search is not None
        assert not search.runs  # its best trial is trained by the study
        scores = {run.arm: run.kept.validation_accuracy for run in search.search.runs if run.kept}
        best = max(scores, key=lambda trial: scores[trial])
        chosen = search.search.trials[int(best.split()[-1])].chosen
        arm = next(arm for arm in record.arms if arm.name == "tuned").design
        assert arm.search is not None
        assert arm.search.chosen[str(seed)] == chosen
        # The run is that of an arm with these values, and no other study would train it anew.
        training = {"optimizer": {"name": "adam", "learning_rate": chosen["rate"]}}
        layers = ["flatten", f"dense {chosen['units']} relu", "dense classes softmax"]
        plain = small_study(factors={}, arms=[{"name": "x", "layers": layers, "training": training}])
        plan = make_plan(plain, prepare("digits"), tuned)
        assert runs["tuned", seed].id == plan.tasks[seed].id
        trials.append(tuple(sorted((one.chosen["rate"]) for one in search.search.trials.values())))
        assert {run.seed for run in search.search.runs}.isdisjoint({0, 1})
    assert trials[0] != trials[1]


def test_it_runs_nothing_twice_and_is_read_as_it_was_trained(tuned: Path) -> None:
    before = assay.result("small", store=tuned).record
    assay.run(small_study(**TUNED), store=tuned)
    after = assay.result("small", store=tuned).record
    assert [(run.id, run.finished) for run in after.runs] == [(run.id, run.finished) for run in before.runs]
    for run in after.runs:
        model = assay.find(run.id[:12], store=tuned).model()
        images, labels = model.validation()
        accuracy = (model.probabilities(images).argmax(1) == labels).mean()
        assert run.kept is not None
        assert accuracy == pytest.approx(
            run.kept.validation_accuracy, abs=0.01
        )  # trained in bfloat16 where it is faster
    result = assay.result("small", store=tuned)
    assert result.compare() is not None


def test_what_each_seed_has_chosen_is_trained_again_on_all_images(tuned: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(tuned, store)
    result = assay.result("small", store=store)
    frame = result.reveal(retrain="tuned")
    assert len(frame) == 2
    assert frame["test_accuracy"].between(0.2, 1).all()
    retrained = {run.seed: run for run in assay.result("small", store=store).record.retrained}
    arm = next(arm for arm in result.record.arms if arm.name == "tuned").design
    for seed, run in retrained.items():
        weights = load_weights(store / (run.weights_path or ""), run.weights_sha256 or "")
        assert len(weights["dense1.bias"]) == int(arm.at(seed).layers[1].split()[1])  # type: ignore[union-attr]


def test_the_report_says_what_each_seed_has_chosen(tuned: Path, finished: Path) -> None:
    result = assay.result("small", store=tuned)
    html = Path(result.report(explanations=())).read_text()
    arm = next(arm for arm in result.record.arms if arm.name == "tuned").design
    assert arm.search is not None
    for seed in (0, 1):
        assert f"seed {seed} chose rate {arm.search.chosen[str(seed)]['rate']:g}" in html
    assert (
        "An ensemble of 2 such networks"
        in Path(assay.result("small", store=finished).report(explanations=())).read_text()
    )


def test_a_searching_study_that_was_interrupted_goes_on_where_it_was(tuned: Path, tmp_path: Path) -> None:
    class Stop(assay.Callback):
        def __init__(self) -> None:
            self.left = 4

        def on_end(self, run: Any, state: str) -> None:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt

    from assay.errors import Interrupted

    with pytest.raises(Interrupted):
        assay.run(small_study(**TUNED), store=tmp_path, callbacks=[Stop()])
    assay.run(small_study(**TUNED), store=tmp_path)
    ours, theirs = (assay.result("small", store=store).record for store in (tmp_path, tuned))
    assert [(run.arm, run.seed, run.id) for run in ours.runs] == [(run.arm, run.seed, run.id) for run in theirs.runs]
    for one, other in zip(ours.runs, theirs.runs, strict=True):
        weights = [
            load_weights(store / (run.weights_path or ""), run.weights_sha256 or "")
            for store, run in ((tmp_path, one), (tuned, other))
        ]
        assert same_weights(*weights)


def test_a_search_without_a_usable_trial_leaves_its_seed_without_a_run(tmp_path: Path) -> None:
    """Rates this high diverge: the search has nothing to choose, and the other arm is trained all the same."""
    arms = [{"name": "default"}, {
        "name": "tuned", "layers": ["flatten", "dense 8 relu", "dense classes softmax"],
        "training": {"optimizer": {"name": "sgd", "learning_rate": "{rate}"}},
        "search": {"trials": 2, "sampler": "random", "space": {"rate": [1e30, 1e32]}},
    }]  # fmt: skip
    study = small_study(**{**TUNED, "arms": arms, "seeds": {"count": 1}})
    record = assay.run(study, store=tmp_path).record
    assert [(run.arm, run.state) for run in record.runs] == [("default", "finished")]


def test_a_study_with_recipes_is_the_same_from_its_file(tmp_path: Path) -> None:
    from assay.spec import parse_study, study_toml

    for values in (TAUGHT, TUNED):
        study = small_study(**values)
        assert parse_study(study_toml(study), file="small.toml", name="small") == study
        assert Study.of(study.model_dump(mode="json", exclude_none=True)) == study
