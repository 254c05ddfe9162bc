"""Sets of classes and refusal: in predict, in exports, and what cannot be fitted."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import assay
from assay.cli import main
from assay.data import prepare
from assay.errors import SpecError
from assay.results.model import find_run, load_models
from assay.results.run import export
from assay.spec import Data

from ..helpers import small_study

LAYERS = ["conv 8 3x3 relu", "layernorm", "maxpool 2", "flatten", "dense 24 relu", "dense classes softmax"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    folder = tmp_path_factory.mktemp("answers") / "store"
    training = {"epochs": 6, "batch_size": 32, "optimizer": {"name": "adam", "learning_rate": 0.005}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared_cache))
        study = small_study(
            network={"layers": LAYERS}, factors={}, training=training, data={"name": "digits", "validation": 0.3}
        )
        assay.run(study, store=folder, workers=1)
    return folder


def foreign() -> np.ndarray:
    """Noise, stripes and inverted grounds: uint8 [n, 8, 8]."""
    rng = np.random.default_rng(0)
    stripes = np.zeros((40, 8, 8), np.uint8)
    stripes[:, ::2] = rng.integers(150, 256, (40, 1, 1))
    return np.concatenate([rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), stripes, 255 - stripes // 4])


def test_sets_hold_the_truth_of_new_images_and_foreign_ones_are_refused(store: Path) -> None:
    test = prepare(Data(name="digits")).test()
    frame = assay.predict("small", test.images, sets=0.9, refuse=True, store=store)
    names = np.array([str(label) for label in range(10)])[test.labels]
    held = np.mean([name in chosen for name, chosen in zip(names, frame["Set"], strict=True)])
    assert held == pytest.approx(0.9, abs=4 * (0.09 / len(names) + 0.09 / 430) ** 0.5)
    assert frame["Refused"].mean() < 0.15
    assert "validation images were that they were calibrated on" in frame.attrs["note"]
    other = assay.predict("small", foreign(), refuse=0.01, store=store)
    assert other["Refused"].mean() > 0.95
    assert list(other.columns[:5]) == ["Id", "Category", "Confidence", "Unlike", "Refused"]
    filled = assay.predict("small", test.images, sets=0.6, never_empty=True, store=store)
    assert all(filled["Set"].map(len) >= 1)


def test_an_arm_answers_with_sets_and_says_what_that_means(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "images.npy", foreign())
    arguments = ["predict", "small", str(tmp_path / "images.npy"), "--arm", "best", "--store", str(store)]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--sets", "0.95", "--refuse", "--calibrate", "-o", str(tmp_path / "out.csv")])
    assert ended.value.code == 0
    told = capsys.readouterr().err
    assert "Each validation image was judged by those of the 2 runs that did not train on it" in told
    assert "refused: unlike the data" in told
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert list(rows[0]) == ["Id", "Category", "Confidence", "Set", "Unlike", "Refused"]
    assert all((float(row["Unlike"]) > 1) == (row["Refused"] == "yes") for row in rows)
    with pytest.raises(SystemExit):
        main([*arguments, "--refuse-share", "0.05", "--json", "-o", str(tmp_path / "out.csv")])
    values = json.loads(capsys.readouterr().out)
    assert values["refused"] > 120
    assert values["temperature"] is None


def test_an_onnx_file_says_itself_how_unlike_a_picture_is(store: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    exported = export("small", "onnx", folder=tmp_path, sets=0.9, by_class=False, refuse=0.05, store=store)
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert [file.format for file in exported.files] == ["onnx", "answers"]
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["answers"])["sets"] == answers["sets"]
    images = np.concatenate([foreign()[..., None], np.asarray(prepare(Data(name="digits")).test().images[:50])])
    probabilities, unlike = session.run(["probabilities", "unlike"], {"images": images})
    ours = assay.predict("small", images, refuse=0.05, store=store)
    np.testing.assert_allclose(unlike, ours["Unlike"], rtol=1e-3)
    np.testing.assert_allclose(probabilities.max(1), ours["Confidence"], atol=1e-4)
    card = exported.card.read_text()
    assert "## Sets and refusal" in card
    assert "it has no way to say that it does not know" not in card
    with pytest.raises(SpecError, match=r"only model.onnx of layers in study words puts out; add --format onnx"):
        export("small", "torch", folder=tmp_path, refuse=True, store=store)


def test_bad_input_is_one_sentence(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = foreign()
    with pytest.raises(SpecError, match=r"the coverage is 1.2; give a share between 0 and 1, such as 0.9"):
        assay.predict("small", images, sets=1.2, store=store)
    with pytest.raises(SpecError, match="the share of validation images that is refused is 0; give a share"):
        assay.predict("small", images, refuse=0.0, store=store)
    with pytest.raises(SpecError, match=r"there are \d+ calibration images, and a coverage of 0.999 takes 999"):
        assay.predict("small", images, sets=0.999, store=store)
    with pytest.raises(SpecError, match=r"there are \d+ validation images, and refusing 0.001 of them takes 999"):
        assay.predict("small", images, refuse=0.001, store=store)
    with pytest.raises(SystemExit) as ended:
        main(["predict", "small", str(tmp_path / "x.npy"), "--by-class", "--store", str(store)])
    assert ended.value.code == 2
    assert "--by-class says how sets are made, and no sets are asked for; add --sets 0.9" in capsys.readouterr().err
    assay.result("small", store=store).reveal(retrain=assay.result("small", store=store).record.arms[0].name)
    retrained = assay.result("small", store=store).record.retrained[0].id
    for options in ({"sets": 0.9}, {"refuse": True}):
        with pytest.raises(SpecError, match="fitted on validation images, and there are none"):
            assay.predict(retrained, images, store=store, **options)  # type: ignore[arg-type]


def test_the_threshold_is_of_validation_images_alone(store: Path) -> None:
    record, run = find_run("small", store)
    (model,) = load_models(record, [run], store)
    images, _ = model.validation()
    refused = assay.predict("small", images, refuse=0.1, store=store)["Refused"].mean()
    assert refused == pytest.approx(0.1, abs=1.5 / len(images))
