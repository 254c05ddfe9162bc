"""The pages' answers: a study's runs, curves, scores, verdicts, one run, pictures."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
from starlette.testclient import TestClient

import assay
from assay.analysis import answer, arm_scores
from assay.analysis.scores import metric_interval
from assay.errors import DataError, NoStore, NoSuchRun, NoSuchStudy, SpecError, StoreBusy, StoreError
from assay.numerals import percent
from assay.report.search import search_sentences
from assay.search import step_of
from assay.store import StudyRecord, open_writer, trial_name
from assay.web import make_app
from assay.web.pages import problem_status
from assay.web.studies import curves

from ..search.played import Killed, epoch_of, play, search_study
from .conftest import HOSTS, URL

ROW = [
    "place", "arm", "seed", "fold", "state", "epochs", "planned", "score", "train", "loss", "test", "seconds", "id",
    "reason",
]  # fmt: skip


@pytest.fixture
def record(finished_store: Path) -> StudyRecord:
    return assay.result("small", store=finished_store).record


def test_the_list_counts_what_the_store_holds(client: TestClient) -> None:
    (study,) = client.get("/api/studies").json()["studies"]
    assert study["name"] == "small"
    assert study["states"] == {"finished": 4}
    assert (study["arms"], study["runs"], study["training"], study["leaky"]) == (2, 4, False, False)


def test_rows_are_the_runs(client: TestClient, record: StudyRecord) -> None:
    found = client.get("/api/studies/small?since=0").json()
    assert found["full"]
    rows = [dict(zip(ROW, row, strict=True)) for row in found["runs"]]
    for place, (row, run) in enumerate(zip(rows, record.runs, strict=True)):
        assert row["place"] == place
        assert found["arms"][row["arm"]]["name"] == run.arm
        assert (row["seed"], row["state"], row["id"]) == (run.seed, run.state, run.id[:12])
        assert run.kept is not None
        assert row["score"] == pytest.approx(run.kept.validation_accuracy, abs=1e-6)
    again = client.get(f"/api/studies/small?since={found['version']}").json()
    assert not again["full"]
    assert again["runs"] == []


@pytest.mark.parametrize("since", ["-1", "x", "1e9", "", "9" * 40, "٣"])
def test_a_version_is_a_whole_number(client: TestClient, since: str) -> None:
    assert client.get("/api/studies/small", params={"since": since}).status_code == 400


def test_mean_curves_have_the_interval_of_the_mean(client: TestClient, record: StudyRecord) -> None:
    found = client.get("/api/studies/small/curves?measure=train_loss").json()
    for mean in found["means"]:
        runs = record.runs_of(record.arms[mean["arm"]].name)
        for epoch in range(4):
            expected = metric_interval([run.epochs[epoch].train_loss for run in runs], "train_loss")
            assert mean["mean"][epoch] == pytest.approx(expected.mean, abs=1e-5)
            assert mean["low"][epoch] == pytest.approx(expected.low, abs=1e-5)
            assert mean["high"][epoch] == pytest.approx(expected.high, abs=1e-5)
    assert len(found["lines"]) == found["of"] == 4
    assert client.get("/api/studies/small/curves?measure=test_accuracy").status_code == 422


def test_of_many_runs_some_are_drawn_spread_evenly(record: StudyRecord) -> None:
    from dataclasses import replace

    one = replace(record.runs[0], epochs=record.runs[0].epochs * 25)
    many = replace(record, runs=tuple(replace(one, seed=seed) for seed in range(999)))
    found = curves(many, "validation_accuracy")
    drawn = [line["place"] for line in found["lines"]]
    assert len(drawn) * 100 <= 8000 + 100
    assert found["of"] == 999
    assert set(np.diff(drawn)) <= {12, 13}
    training = replace(many, runs=(*many.runs[:990], *(replace(run, state="running") for run in many.runs[990:])))
    assert {line["place"] for line in curves(training, "train_loss")["lines"]} >= set(range(990, 999))


def test_arms_and_answer_are_those_of_the_report(client: TestClient, record: StudyRecord) -> None:
    arms = client.get("/api/studies/small/arms").json()
    for told, arm in zip(arms["arms"], arm_scores(record), strict=True):
        assert told["mean"] == pytest.approx(arm.mean)
        assert told["scores"] == pytest.approx(list(arm.scores), abs=1e-6)
    page = BeautifulSoup(arms["html"], "html.parser")
    assert [row.th.get_text(strip=True)[1:] for row in page.select("tbody tr")] == [arm.name for arm in record.arms]
    found = client.get("/api/studies/small/answer").json()
    headline = BeautifulSoup(found["html"], "html.parser").select_one(".headline")
    assert headline is not None
    assert headline.get_text().replace("\N{NO-BREAK SPACE}", " ") == f"{answer(record).headline}."
    assert (found["tone"], found["headline"]) == (answer(record).tone, answer(record).headline)


def trials_of(store: Path, record: StudyRecord) -> list[dict[str, str]]:
    """The table of trials that the page shows, by its columns' titles."""
    with TestClient(make_app(store, HOSTS), base_url=URL) as client:
        assert client.get(f"/api/studies/{record.name}?since=0").json()["search"] is True
        found = client.get(f"/api/studies/{record.name}/trials").json()
    assert found["told"].startswith(search_sentences(record)[0])
    page = BeautifulSoup(found["html"], "html.parser")
    titles = [cell.get_text() for cell in page.select("thead th")]
    return [
        dict(zip(titles, (cell.get_text() for cell in row.select("th, td")), strict=True))
        for row in page.select("tbody tr")
    ]


def test_a_search_shows_where_each_trial_ended(tmp_path: Path) -> None:
    record = play(search_study(seeds=1), tmp_path)
    rows = trials_of(tmp_path, record)
    assert record.search is not None
    assert {row["trial"] for row in rows} == {trial_name(trial) for trial in record.search.trials}
    finalists = {arm.name for arm in record.arms}
    step = step_of(record)
    for row in rows:
        (run,) = record.search.runs_of(int(row["trial"].split()[1]))
        mine = [rung for rung in step.rungs if int(row["trial"].split()[1]) in rung.trials]
        assert row["rung"] == f"{len(mine)} of bracket {mine[-1].bracket}"
        assert int(row["epochs"]) == mine[-1].epochs == len(run.epochs)
        assert row["validation accuracy"] == percent(epoch_of(run.id, mine[-1].epochs).validation_accuracy)
        assert row["state"] == ("finalist" if row["trial"] in finalists else "stopped")
    assert len(rows) > len(finalists) == 3


def test_a_search_that_is_under_way_shows_who_waits_for_what(tmp_path: Path) -> None:
    writes: Counter[str] = Counter()

    def die(what: str) -> None:
        writes[what] += 1
        if writes["put_paused"] == 3:
            raise Killed

    halving = {"method": "successive-halving", "min_epochs": 3}
    with pytest.raises(Killed):
        play(search_study(seeds=1, halving=halving), tmp_path, watch=die)
    record = assay.result("small", store=tmp_path).record
    assert record.search is not None
    states = {row["trial"]: row["state"] for row in trials_of(tmp_path, record)}
    told = {trial_name(trial): record.search.runs_of(trial) for trial in record.search.trials}
    paused = {name for name, (run,) in told.items() if run.state == "paused"}
    assert len(paused) == 2
    assert {states[name] for name in paused} == {"waits for its rung"}
    untouched = [name for name, (run,) in told.items() if not run.epochs]
    assert {states[name] for name in untouched} == {"waiting"}
    begun = told[untouched[0]][0]
    with open_writer(tmp_path) as writer:
        writer.put_started(record.name, begun.id, {})
        writer.put_epochs(begun.id, [epoch_of(begun.id, 1)])
        shown = trials_of(tmp_path, assay.result("small", store=tmp_path).record)
        assert {row["trial"]: row["state"] for row in shown}[untouched[0]] == "training, epoch 2"
        writer.requeue_interrupted()
    states = {row["trial"]: row["state"] for row in trials_of(tmp_path, assay.result("small", store=tmp_path).record)}
    assert states[untouched[0]] == "waiting"  # it is in its first rung still


def test_with_asynchronous_halving_a_trial_may_go_on_until_the_search_is_over(tmp_path: Path) -> None:
    writes: Counter[str] = Counter()

    def die(what: str) -> None:
        writes[what] += 1
        if writes["put_paused"] == 6:
            raise Killed

    study = search_study(seeds=1, halving="asha")
    with pytest.raises(Killed):
        play(study, tmp_path, watch=die)
    record = assay.result("small", store=tmp_path).record
    assert record.search is not None
    jobs = {trial_name(trial) for trial, _ in step_of(record).jobs}
    scored = [row for row in trials_of(tmp_path, record) if row["epochs"] != "–" and row["trial"] not in jobs]
    assert scored
    assert {row["state"] for row in scored} == {"may go on"}
    over = play(study, tmp_path)
    assert "may go on" not in {row["state"] for row in trials_of(tmp_path, over)}


def test_a_study_that_is_no_search_has_no_trials(client: TestClient) -> None:
    assert client.get("/api/studies/small?since=0").json()["search"] is False
    assert client.get("/api/studies/small/trials").status_code == 404


def test_one_run_with_its_curves_and_its_arm(client: TestClient, record: StudyRecord) -> None:
    run = record.runs[-1]
    found = client.get(f"/api/studies/small/runs/{run.id[:12]}").json()
    assert found["arm"] == run.arm
    assert found["curves"]["train_accuracy"] == [epoch.train_accuracy for epoch in run.epochs]
    assert "dropout 0.3" in found["layers"]
    assert found["training"]["optimizer.learning_rate"] == "0.01"
    for unknown in ("f" * 12, run.id[:4], "x"):
        assert client.get(f"/api/studies/small/runs/{unknown}").status_code == 404


def test_the_pictures_and_the_report_are_served(client: TestClient) -> None:
    picture = client.get("/studies/small/gallery.png")
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    assert "Does dropout help?" in client.get("/studies/small/report").text


def test_what_is_not_there_is_a_page_for_people_and_json_for_programs(client: TestClient) -> None:
    page = client.get("/studies/none", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert "There is no such study in this store." in page.text
    told = client.get("/api/studies/none")
    assert told.status_code == 404
    assert 'there is no study "none"' in told.json()["error"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NoStore("gone"), 404), (NoSuchStudy("unknown"), 404), (NoSuchRun("unknown"), 404), (SpecError("wrong"), 422),
        (StoreError('there is no study "x", says a text alone'), 503), (StoreBusy("busy"), 503),
        (DataError("changed"), 409),
    ],
)  # fmt: skip
def test_an_errors_type_decides_its_status(error: Exception, status: int) -> None:
    assert problem_status(error) == status


def test_a_store_may_come_later(tmp_path: Path) -> None:
    with TestClient(make_app(tmp_path / "store", HOSTS), base_url=URL) as client:
        assert client.get("/").status_code == 200
        assert client.get("/api/studies").status_code == 404
        assert "there is no store here" in client.get("/api/studies").json()["error"]


def test_files_are_sent_again_only_when_they_changed(client: TestClient) -> None:
    first = client.get("/static/app.css")
    assert first.headers["content-type"].startswith("text/css")
    again = client.get("/static/app.css", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert not again.content


def test_the_look_at_the_data_is_the_reports(client: TestClient) -> None:
    html = client.get("/api/studies/small/look").json()["html"]
    assert re.search(r"<li>(Balanced|Imbalanced|Strongly imbalanced): ", html)
    assert "Suspicious labels" in html
    assert client.get("/api/studies/none/look").status_code == 404
    report = client.get("/studies/small/report").text
    assert "Suspicious labels" in report
