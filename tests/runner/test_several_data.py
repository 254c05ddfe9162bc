"""A study on several data sets from its file to its answers, trained on small images of two sizes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import assay
from assay.cli import main
from assay.data import prepare
from assay.errors import DataError, SpecError
from assay.runner import check_networks
from assay.spec import Study, parse_study
from assay.store import open_reader

COLOUR = 12  # pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study on digits and on coloured squares, run with two seeds."""
    place = tmp_path_factory.mktemp("several")
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, size=240)
    images = rng.integers(0, 120, size=(240, COLOUR, COLOUR, 3), dtype=np.uint8)
    images[np.arange(240), :, :, labels] += 100
    np.savez(
        place / "squares.npz", x_train=images[:200], y_train=labels[:200], x_test=images[200:], y_test=labels[200:]
    )
    (place / "two.toml").write_text(
        """
question = "Does dropout help on both?"
[data]
name = ["digits", { path = "squares.npz" }]
validation = 0.2
[network]
layers = ["conv 5 3x3 relu", "flatten", "layernorm", "dropout {rate}", "dense classes softmax"]
[factors]
rate = [0.0, 0.3]
[training]
epochs = 1
[seeds]
count = 2
"""
    )
    assay.run(place / "two.toml", store=place / "store", workers=1)
    return place


def test_networks_fit_the_shape_and_the_classes_of_each(folder: Path) -> None:
    summaries = assay.describe(assay.load(folder / "two.toml"))
    assert summaries["data=digits, rate=0"].layers[0].parameters == 5 * (9 + 1)
    assert summaries["data=squares, rate=0"].layers[0].parameters == 5 * (27 + 1)
    assert summaries["data=squares, rate=0"].layers[-1].output_shape == (3,)


def test_runs_are_shared_with_a_study_on_one_of_them(folder: Path) -> None:
    several = assay.result("two", store=folder / "store")
    assert [run.state for run in several.runs] == ["finished"] * 8
    alone = assay.load(folder / "two.toml").on("digits").model_copy(update={"name": "alone"})
    outcome = assay.run(alone, store=folder / "store", workers=1)
    assert {run.id for run in outcome.runs} == {run.id for run in several.runs if run.arm.startswith("data=digits")}


def test_each_arm_is_asked_on_its_own_data(folder: Path) -> None:
    several = assay.result("two", store=folder / "store")
    model = several.run("data=squares, rate=0.3").model()
    assert (model.shape, len(model.classes)) == ((COLOUR, COLOUR, 3), 3)
    images, labels = model.validation()
    assert (images.shape[1:], len(images)) == ((COLOUR, COLOUR, 3), 40)
    hits = np.mean(model.probabilities(images).argmax(1) == labels)
    recorded = several.run("data=squares, rate=0.3").record.kept.validation_accuracy
    assert hits == pytest.approx(recorded, abs=1.5 / len(images))  # on another path an image may fall the other way
    with pytest.raises(SpecError, match=r"has several data sets, and no arm is the best of all; name an arm"):
        several.run()
    table = assay.predict("two", images[:3], arm="data=squares, rate=0", store=folder / "store")
    assert table.shape == (3, 3 + 3)
    with pytest.raises(DataError, match="learns from 2 data sets, and one is needed here"):
        several.doubtful_labels()


def test_every_form_of_answer_is_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    several = assay.result("two", store=folder / "store")
    assert several.diagnose().looked_at["data=squares, rate=0"] == 2
    page = several.report().read_text()
    assert "Data content (SHA-256) (squares)" in page
    assert "takes 5 or more" in page
    for command in ("status", "compare"):
        with pytest.raises(SystemExit) as ended:
            main([command, "two", "--store", str(folder / "store"), "--json"])
        assert not ended.value.code
        shown = json.loads(capsys.readouterr().out)
        assert (shown[0] if command == "status" else shown)["study"] == "two"


def test_the_test_split_of_each_is_scored_in_one_look(folder: Path) -> None:
    several = assay.result("two", store=folder / "store")
    frame = several.reveal()
    assert frame["test_accuracy"].notna().all()
    assert len(several.record.looks) == 1
    assert [len(hits) for hits in several.record.test_hits.values()].count(5) == 4  # 40 squares, in bits
    assert len(several.compare(split="test").sentences) == 3
    # The same test images count for a study on one of the data sets, and its look for this one.
    assert assay.result("alone", store=folder / "store").record.looks_elsewhere == 0
    assay.result("alone", store=folder / "store").reveal()
    with open_reader(folder / "store") as reader:
        digits = prepare("digits").test().images_sha256()
        assert reader.looks_elsewhere("alone", digits) == 1
    with pytest.raises(SpecError, match="an arm is retrained on one"):
        several.reveal(retrain="data=digits, rate=0")


def test_a_plan_speaks_of_each_data_set(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned = assay.plan(folder / "two.toml", difference=5, store=folder / "store")
    assert [one["b"] for one in planned.contrasts] == ["data=digits, rate=0.3", "data=squares, rate=0.3"]
    with pytest.raises(SystemExit):
        main(["plan", "two", "--difference", "5", "--store", str(folder / "store")])
    assert "contrast whose seeds differ most" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["plan", "first-look", "--store", str(folder / "store")])
    assert ended.value.code == 2
    assert '"first-look" has no runs in' in capsys.readouterr().err
    single = folder.parent / "empty"
    with pytest.raises(SpecError, match="has no runs in"):
        assay.plan("first-look", store=single)


def study(data: str, layers: str) -> Study:
    text = f"[data]\nname = {data}\n[network]\nlayers = [{layers}]\n[seeds]\ncount = 2\n"
    return parse_study(text, file="many.toml", name="many")


def test_what_a_data_set_cannot_bear_is_named_with_it() -> None:
    deep = '"conv 4 5x5", "maxpool 2", "conv 4 5x5", "flatten", "dense classes softmax"'
    with pytest.raises(SpecError) as caught:
        check_networks(study('["mnist", "digits"]', deep))
    (problem,) = caught.value.problems
    assert problem.key == "network.layers[2]"
    assert 'on "digits"' in problem.what
    with pytest.raises(SpecError) as caught:
        check_networks(study('["mnist", "digit"]', '"flatten", "dense classes softmax"'))
    (problem,) = caught.value.problems
    assert (problem.key, problem.fix) == ("data.name[1]", 'did you mean "digits"?')
