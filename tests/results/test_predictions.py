"""assay predict from a store: one run or an arm, to a table, calibrated where no run has learned."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay.cli import main
from assay.errors import SpecError
from assay.results import predictions
from assay.results.model import load_models, runs_of_arm
from assay.results.predictions import load_ensemble

from .test_model import finished, made

IMAGES = made()[0]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    folder = tmp_path_factory.mktemp("predictions")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(shared_cache))
        finished(folder, data={**assay.arrays(*made()).model_dump(exclude_none=True), "validation": 0.4})
    return folder


def run(store: Path, *arguments: object, code: int = 0) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["predict", "small", *map(str, arguments), "--store", str(store)])
    assert ended.value.code == code


def test_a_table_of_ids_and_categories(store: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    run(store, tmp_path / "images.npy", "-o", tmp_path / "out.csv", "--arm", "filters=4", "--probabilities")
    record = assay.result("small", store=store).record
    models = load_models(record, runs_of_arm(record, "filters=4"), store)
    expected = np.mean([model.probabilities(IMAGES[..., None]) for model in models], axis=0)
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["Id"] for row in rows] == [str(number) for number in range(len(IMAGES))]
    assert [row["Category"] for row in rows] == [models[0].classes[label] for label in expected.argmax(1)]
    found = [[float(row[name]) for name in models[0].classes] for row in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_run_answers_alone(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    record = assay.result("small", store=store).record
    for named in record.runs:
        with pytest.raises(SystemExit):
            main(["predict", named.id[:12], str(tmp_path / "images.npy"), "--store", str(store)])
        lines = capsys.readouterr().out.splitlines()
        (model,) = load_models(record, [named], store)
        labels = model.probabilities(IMAGES[..., None]).argmax(1)
        assert lines == ["Id,Category", *(f"{k},{model.classes[label]}" for k, label in enumerate(labels))]


def test_confidence_is_calibrated_on_images_that_the_runs_held_out(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = load_ensemble("small", store, arm="filters=2", calibrated=False)
    assert runs.calibration is None
    assert runs.ensemble.temperature == 1
    held_out = {tuple(model.validation()[1]) for model in runs.models}
    assert len(held_out) == 2  # every seed has its own
    with pytest.raises(SpecError, match=r"there are 48; ask runs that have 100 or more"):
        load_ensemble("small", store, calibrated=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(predictions, "_FEWEST_TO_CALIBRATE", 10)
        runs = load_ensemble("small", store, arm="filters=2", calibrated=True)
        np.save(tmp_path / "images.npy", IMAGES[:7])
        run(store, tmp_path / "images.npy", "--arm", "filters=2", "--calibrate")
    assert runs.calibration is not None
    assert runs.calibration.loss[1] <= runs.calibration.loss[0]
    training = runs.models[0].dataset.training()
    judged = set()
    for model in runs.models:
        images = model.validation()[0]
        judged |= {image.tobytes() for image in images}
    assert runs.calibration.num_images == len(judged) < len(training)
    out, told = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    found = runs.ensemble.probabilities(np.ascontiguousarray(IMAGES[:7, ..., None]))
    np.testing.assert_allclose([float(row["Confidence"]) for row in rows], found.max(1), atol=1e-4)
    assert "each judged by the runs that did not train on it" in told


def test_standard_input_and_a_summary(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = io.BytesIO()
    np.savez(content, IMAGES)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.getvalue())))
    run(store, "-", "-o", tmp_path / "out.csv", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["images"] == len(IMAGES) == sum(told["classes"].values())
    assert len((tmp_path / "out.csv").read_text().splitlines()) == len(IMAGES) + 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.npy"], "no such file"),
        (["bad.npy"], "the network takes 8 x 8: resize it"),
        (["good.npy", "--arm", "filters=9"], "has no arm"),
        (["good.npy", "--json"], "say where that goes with -o"),
        (["-", "-"], "standard input can be read once"),
    ],
)
def test_bad_input_is_told_and_writes_nothing(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("good.npy", IMAGES)
    np.save("bad.npy", IMAGES[:, :4])
    more = [] if "--json" in arguments else ["-o", "out.csv"]
    run(store, *arguments, *more, code=2)
    assert sentence in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.npy", "good.npy"]
