"""From a finished run to its pictures, through Python and the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import assay
from assay.cli.main import main
from assay.errors import DataError, SpecError
from assay.explain import figures
from assay.results.explanations import MAKERS, Explanation, PictureRequest, explain
from assay.results.model import load_models

from ..helpers import small_study

# In float32, as explanations are computed.
LAYERS = [
    "conv 3 3x3 relu",
    "conv 6 2x2 relu dilation=2",
    "maxpool 2",
    "flatten",
    "dense 8 relu",
    "dense classes softmax",
]


def trained(folder: Path, **changes: Any) -> assay.Result:
    values: dict[str, Any] = {
        "name": "digits-again",
        "data": {"name": "digits", "validation": {"last": 300}, "stratified": False},
        "network": {"layers": LAYERS},
        "factors": {},
        "training": {"epochs": 2, "batch_size": 64, "precision": "float32"},
        "seeds": {"count": 2},
        **changes,
    }
    return assay.run(small_study(**values), store=folder, workers=1)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> assay.Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared_cache))
        return trained(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> assay.Result:
    """A network without convolutions, one seed, validation images drawn by the seed."""
    layers = ["flatten", "layernorm", "dense classes softmax"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared_cache))
        data = {"name": "digits", "validation": 0.2}
        return trained(tmp_path_factory.mktemp("flat"), network={"layers": layers}, data=data, seeds={"count": 1})


def run_cli(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_everything_is_explained_and_agrees_with_the_run(result: assay.Result, tmp_path: Path) -> None:
    explanation = result.explain()
    assert {picture.kind for picture in explanation} == set(MAKERS)
    assert not explanation.left_out
    run = result.run()
    assert run.record.kept is not None
    about = explanation.about
    assert about["accuracy"] == pytest.approx(run.record.kept.validation_accuracy, abs=1 / 300)
    counts = np.array(explanation["confusion"].data["counts"])
    assert counts.sum() == about["images"] == 300
    assert len(explanation.mistakes) == 300 - np.trace(counts)
    assert explanation.mistakes["loss"].is_monotonic_decreasing
    data = run.model().dataset.training()
    for image, label in zip(explanation.mistakes["image"], explanation.mistakes["class"], strict=True):
        assert str(data.labels[image]) == label
    assert explanation.classes["images"].tolist() == counts.sum(1).tolist()
    agreed = explanation["agreement"].data
    assert agreed["images"] == 300
    assert sum(agreed["missed_by"].values()) == 300
    assert set(agreed["hard"]) <= set(explanation.mistakes["image"])
    as_json = json.loads(json.dumps(explanation.as_dict()))
    assert [one["name"] for one in as_json["pictures"]] == [picture.name for picture in explanation]
    some = result.explain(only=["calibration", "kernels"])
    paths = some.write(tmp_path, format="svg", theme="dark")
    assert {path.name for path in paths.values()} == {
        "calibration.svg", "kernels-conv1.svg", "kernels-conv2.svg", "index.html", "mistakes.csv"
    }  # fmt: skip
    page = paths["index"].read_text()
    assert all(f'src="{picture.name}.svg"' in page for picture in some)
    assert 'src="data:image/png;base64,' in some._repr_html_()


def test_one_image_one_layer_another_seed(result: assay.Result) -> None:
    data = result.run().model().dataset.training()
    by_number = result.run(seed=1).explain(only="gradcam,activations", layer="conv1", image=len(data) - 1)
    assert by_number.about["seed"] == 1
    assert "Where conv1 finds" in by_number["gradcam"].caption
    by_array = result.run(seed=1).explain(only="gradcam,activations", layer="conv1", image=data.images[-1])
    assert by_array["activations"].data["probabilities"] == by_number["activations"].data["probabilities"]
    learned = result.explain(only="activations", image=0)
    assert "which the network trained on" in learned["activations"].caption


def test_what_a_network_has_not_is_left_out_or_refused_by_name(flat: assay.Result) -> None:
    explanation = flat.explain()
    assert {"kernels", "activations", "strongest", "maximized", "gradcam", "agreement"} == set(explanation.left_out)
    assert "no layer of the network is a convolution" in explanation.left_out["kernels"]
    assert set(explanation["sanity"].data) == {"integrated gradients", "occlusion"}
    assert "Left out" in explanation._repr_html_()
    with pytest.raises(SpecError, match="no layer of the network is a convolution"):
        flat.explain(only="kernels")
    with pytest.raises(SpecError, match="agreement needs two"):
        flat.explain(only="agreement")


def test_what_a_base_sees_is_shown_on_the_images_as_they_are_stored(
    based_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8 x 8 pixels, of which the base sees 20 x 20, blue first."""
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(figures, "evidence_panels", lambda images, titles, rows, **_: drawn.update(rows))
    monkeypatch.setattr(figures, "strongest_grid", lambda images, found, **_: drawn.update(boxes=found.boxes))
    monkeypatch.setattr(figures, "filters_at_best", lambda pictures, **_: drawn.update(pictures=pictures))
    (run,) = assay.result("based", store=based_store).record.runs_of("train=all")
    model = assay.find(run.id, store=based_store).model()
    kernel = model.network.get_submodule("base_conv1").kernel
    with torch.no_grad():
        kernel.copy_(torch.tensor([1.0, -1.0, -1.0])[None, :, None, None].expand_as(kernel))  # likes blue
    explanation = explain(
        model, PictureRequest(only=["gradcam", "occlusion", "strongest", "maximized"], layer="base_conv1", image=3)
    )
    for kind in ("gradcam", "occlusion"):
        explanation[kind].figure()
        assert all(heat.shape == (8, 8) for heat in drawn["for what it\nis taken for"])
    assert "square of 3 x 3 pixels (of the 20 x 20 that the base sees)" in explanation["occlusion"].caption
    explanation["strongest"].figure()
    assert drawn["boxes"].max() <= 8
    assert (drawn["boxes"][..., 2:] - drawn["boxes"][..., :2]).max() <= 3  # 3 of 20 pixels touch 3 of 8 at most
    explanation["maximized"].figure()
    assert (drawn["pictures"][..., 2] > 0.9).all()
    assert (drawn["pictures"][..., :2] < 0.1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": "kernel"}, 'no picture "kernel".*did you mean "kernels"'),
        ({"layer": "conv9"}, 'no layer "conv9".*layers with kernels: conv1, conv2; with maps: conv1, conv2'),
        ({"layer": "dense1"}, 'layer "dense1" has no kernels or maps to draw'),
        ({"image": 5000}, r"image 5,000 is not there: the training data has 1,438 images; give 0 to 1,437"),
        ({"image": -1}, "image -1 is not there"),
        ({"split": "test"}, "the test split of study .* is sealed .*assay reveal"),
    ],
)
def test_bad_wishes_are_named(result: assay.Result, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        result.explain(**options)


def test_an_image_of_another_size_is_refused(result: assay.Result, tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "large.png"
    Image.new("L", (30, 40)).save(path)
    with pytest.raises(DataError, match=r"large\.png is 40 x 30; the network takes 8 x 8"):
        result.explain(only="gradcam", image=path)
    Image.new("L", (8, 8), 255).save(path)
    white = result.explain(only="activations", image=str(path))["activations"].data["probabilities"]
    assert (
        white
        == result.explain(only="activations", image=np.full((8, 8), 255, np.uint8))["activations"].data["probabilities"]
    )
    with pytest.raises(DataError, match="the array: image 1 is 9 x 8"):
        result.explain(only="gradcam", image=np.zeros((9, 8), np.uint8))
    shares = result.explain(only="activations", image=np.ones((8, 8)))["activations"].data["probabilities"]
    assert shares == white
    with pytest.raises(DataError, match="neither a number nor a file"):
        result.explain(only="gradcam", image="nothing.png")


def test_the_test_split_is_explained_once_it_is_revealed(tmp_path: Path) -> None:
    result = trained(tmp_path)
    result.reveal()
    explanation = result.explain(only="confusion,agreement", split="test")
    run = result.run().record
    assert explanation.about["accuracy"] == pytest.approx(run.test_accuracy, abs=1e-9)
    assert explanation["agreement"].data["images"] == explanation.about["images"] == 359
    assert len(result.record.looks) == 1


def test_a_retrained_run_shows_its_own_mistakes_and_never_those_of_the_study(tmp_path: Path) -> None:
    result = trained(tmp_path, network={"layers": ["flatten", "dense classes softmax"]})
    record = result.record

    def of_retrained() -> Explanation:
        known = result.record
        return explain(load_models(known, known.retrained[:1], tmp_path)[0], PictureRequest(split="test"))

    result.reveal(retrain=record.arms[0].name)
    explanation = of_retrained()
    assert explanation["confusion"].data
    assert "agreement" not in [picture.name for picture in explanation]
    assert "trained anew" in explanation.left_out["agreement"]
    with pytest.raises(SpecError, match="is sealed"):
        result.explain(split="test")
    result.reveal()
    assert "trained anew" in of_retrained().left_out["agreement"]
    assert result.explain(only="agreement", split="test")["agreement"].data["runs"] == 2


def test_agreement_on_test_images_speaks_of_the_runs_that_were_scored(tmp_path: Path) -> None:
    layers = {"layers": ["flatten", "dense classes softmax"]}
    trained(tmp_path, network=layers, seeds={"count": 1}).reveal()
    more = trained(tmp_path, network=layers, seeds={"count": 3})
    with pytest.raises(SpecError, match="1 run whose mistakes on the test images are stored"):
        more.run(seed=0).explain(only="agreement", split="test")


def test_weights_that_are_gone_are_named(tmp_path: Path) -> None:
    result = trained(tmp_path, seeds={"count": 1})
    (tmp_path / str(result.runs[0].weights_path)).unlink()
    with pytest.raises(DataError, match="weights cannot be read"):
        result.explain(only="confusion")


def test_the_command(result: assay.Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, run = str(result.store), result.run(seed=1).record
    arguments = ["explain", run.id[:8], "--store", store, "--only", "confusion,kernels", "-o", str(tmp_path / "out")]
    code, out, _ = run_cli(arguments, capsys)
    assert code == 0
    assert "confusion.png: Confusion matrix" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "confusion.png", "index.html", "kernels-conv1.png", "kernels-conv2.png", "mistakes.csv"
    ]  # fmt: skip
    code, out, _ = run_cli([*arguments, "--json"], capsys)
    told = json.loads(out)
    assert (code, told["run"], told["seed"]) == (0, run.id, 1)
    assert Path(told["files"]["confusion"]).is_file()
    code, out, _ = run_cli(["explain", "--store", store, "--seed", "1", "--only", "confidence"], capsys)
    assert code == 0
    written = result.store / "explanations" / f"digits-again-{run.id[:10]}"
    assert (written / "confidence.png").is_file()
    code, _, err = run_cli(["explain", "digits-again", "--store", store, "--split", "test"], capsys)
    assert code == 2
    assert "is sealed" in err
    assert len(err.strip().splitlines()) == 1


def test_the_report_explains_the_best_arm_and_does_without_where_it_cannot(tmp_path: Path) -> None:
    from bs4 import BeautifulSoup

    result = trained(tmp_path, seeds={"count": 1})
    page = BeautifulSoup(result.report().read_text(), "html.parser")
    section = page.find(id="explanations")
    assert section is not None
    titles = [title.text for title in section.select(".figure-title")]
    assert titles == [
        "Confusion matrix",
        "The images with the highest loss",
        "Is it right as often as it claims?",
        "Kernels of conv1",
    ]
    for picture in section.select("picture"):
        light, dark = picture.select_one("img"), picture.select_one("source")
        assert light is not None
        assert dark is not None
        assert light["src"] != dark["srcset"]
        assert int(str(light["width"])) < 1000
        assert str(light["alt"]).count(".") > 1
    (tmp_path / str(result.runs[0].weights_path)).unlink()
    assert BeautifulSoup(result.report().read_text(), "html.parser").find(id="explanations") is None


def test_a_report_of_a_costly_network_looks_at_a_part_of_the_images(
    result: assay.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assay.results.explanations import illustrate

    model = result.run().model()
    monkeypatch.setattr(illustrate, "_FEWEST", 10)
    monkeypatch.setattr(illustrate, "_FLOPS", 100 * model.summary.flops)
    (first, *_) = illustrate.illustrations(result.record, result.store)
    assert first.caption.startswith("100 validation images")
    assert first.caption.endswith("All pictures are of seed 0, the arm's first.")


def test_help_names_every_picture() -> None:
    from assay.cli.explain import command

    shown = CliRunner().invoke(command, ["--help"]).output
    assert all(name in shown for name in MAKERS)


def test_objects_show_themselves_in_a_notebook(result: assay.Result) -> None:
    run = result.run()
    assert "digits-again, seed 0" in run._repr_html_()
    assert f"{100 * result.frame()['validation_accuracy'][0]:.2f} %" in run._repr_html_()
    assert len(run.epochs()) == len(run.record.epochs)
    model = run.model()
    for shown in (model.summary, model.network):
        assert "conv 6 2x2 relu dilation=2" in shown._repr_html_()
        assert f"{model.summary.parameters:,}" in shown._repr_html_()
    study = small_study(question="Is a < b?")
    assert "Is a &lt; b?" in study._repr_html_()
    assert "factor rate" in study._repr_html_()
    found = assay.find(run.record.id[:10], store=result.store)
    assert found.record == run.record
    with pytest.raises(SpecError, match="seed 7 of digits-again has not finished; finished: seed 0, seed 1"):
        result.run(seed=7)
