"""Made-up studies with known numbers: nothing is trained here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from bs4 import BeautifulSoup

from assay.report import Gallery, Illustration, LayerRow, NetworkTable, render
from assay.spec import Study
from assay.store.records import ArmRecord, EpochRecord, LookRecord, RunRecord, State, StudyRecord

PNG = b"\x89PNG\r\n\x1a\n made up"
ENVIRONMENT = {"python": "3.11.9", "machine": {"processor": "two cores"}}
MakeStudy = Callable[..., StudyRecord]


@pytest.fixture
def make_study() -> MakeStudy:
    return study_of


@pytest.fixture
def page_of() -> Callable[..., BeautifulSoup]:
    return lambda study, **given: BeautifulSoup(html_of(study, **given), "html.parser")


@pytest.fixture
def render_study() -> Callable[..., str]:
    return html_of


def html_of(
    study: StudyRecord,
    *,
    toml: str = 'name = "kernels"',
    same_network: bool = True,
    explanations: Sequence[Illustration] = (),
    gallery: Gallery | None = Gallery(PNG, ("zero", "one"), (5400, 5399), 1201),  # noqa: B008
) -> str:
    networks = {arm.name: network(32 if same_network else 32 * (1 + arm.position)) for arm in study.arms}
    return render(study, summaries=networks, gallery=gallery, version="0.1.0", toml=toml, explanations=explanations)


def network(filters: int) -> NetworkTable:
    rows = (
        LayerRow("conv2d", f"conv {filters} 3x3 relu", f"26 x 26 x {filters}", 10 * filters, 12_168 * filters),
        LayerRow("dense", "dense classes softmax", "10", 1290, 2560),
    )
    parameters = sum(row.parameters for row in rows)
    return NetworkTable(rows, parameters, parameters - 64, 64, sum(row.flops for row in rows))


def study_of(
    scores: dict[str, Sequence[float | State]],
    *,
    question: str = "Does it help?",
    epochs: int = 3,
    tests: dict[str, Sequence[float]] | None = None,
    num_looks: int = 0,
    levels: dict[str, dict[str, str]] | None = None,
) -> StudyRecord:
    """A study whose arm's seeds 0, 1, ... score so much on validation, or stand in a state without a score."""
    runs = []
    for position, (arm, results) in enumerate(scores.items()):
        for seed, result in enumerate(results):
            test = tests[arm][seed] if tests else None
            runs.append(run_of(arm, position, seed, result, epochs, test))
    spec = Study.of(
        {
            "name": "kernels",
            "question": question,
            "data": {"name": "mnist"},
            "arms": [{"name": arm, "layers": ["flatten", "dense classes softmax"]} for arm in scores],
            "seeds": {
                "count": max(map(len, scores.values()), default=0) or 10,
                "vary": ["init", "order"],
            },
        }
    )
    arms = tuple(
        ArmRecord(arm.name, i, (levels or {}).get(arm.name, {}), arm.model_dump(mode="json"))
        for i, arm in enumerate(spec.expand())
    )
    looks = tuple(LookRecord(1.77e9 + 86_400 * i, len(runs), len(runs) if i == 0 else 0) for i in range(num_looks))
    data: dict[str, Any] = {"name": "mnist", "title": "MNIST digits", "content": "9f86d081884c7d65"}
    data |= {"shape": [28, 28, 1], "num_test": 10_000}
    stored = spec.model_dump(mode="json", exclude_none=True)
    return StudyRecord("kernels", question, stored, data, 1.77e9, 1.77e9 + 60, arms, tuple(runs), looks)


def with_spec(study: StudyRecord, **values: object) -> StudyRecord:
    """The study as if its file had other tables: a value replaces the table of its name."""
    return replace(study, spec={**study.spec, **values})


def with_arms(study: StudyRecord, **values: object) -> StudyRecord:
    """The study with other layers, training or base in all of its arms."""
    return replace(study, arms=tuple(replace(arm, spec={**arm.spec, **values}) for arm in study.arms))


def run_of(arm: str, position: int, seed: int, result: float | State, epochs: int, test: float | None) -> RunRecord:
    state: State = "finished" if isinstance(result, float) else result
    done = {"finished": epochs, "queued": 0}.get(state, 1)
    final = result if isinstance(result, float) else 0.1
    curve = tuple(epoch_of(epoch, final - 0.01 * (done - epoch), state) for epoch in range(1, done + 1))
    told = {
        "diverged": ("the loss became NaN in epoch 1", "halve the learning rate"),
        "out of memory": ("the run needed 9 GB", "halve the batch size"),
    }
    reason, advice = told.get(state, ("", ""))
    return RunRecord(
        id=f"{position:04x}{seed:04x}" * 8,
        arm=arm,
        seed=seed,
        state=state,
        reason=reason,
        advice=advice,
        started=1.77e9 if done else None,
        finished=1.77e9 + 30 if state == "finished" else None,
        seconds=10.0 + seed if done else None,
        epochs_planned=epochs,
        epochs=curve,
        environment=ENVIRONMENT,
        test_accuracy=test if state == "finished" else None,
    )


def epoch_of(epoch: int, accuracy: float, state: State) -> EpochRecord:
    loss = float("nan") if state == "diverged" else 0.5 / epoch
    return EpochRecord(
        epoch, loss, accuracy + 0.005, loss, accuracy, loss, accuracy - 0.02, learning_rate=0.001, seconds=2.5
    )
