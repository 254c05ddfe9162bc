"""Runs leave the store with a card that tells what is known of them."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay.cli import main
from assay.errors import RunError, SpecError, StoreError
from assay.export import onnx_answer
from assay.numerals import percent
from assay.results import exports
from assay.results.answers import AnswerRequest
from assay.results.exports import export_run
from assay.results.model import find_run, load_models
from assay.stats import share_interval

from ..helpers import small_study

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, on saving


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(shared_cache))
        assay.run(small_study(), store=folder)
    return folder


def test_files_and_card_agree(store: Path, tmp_path: Path) -> None:
    found = export_run("small", ["onnx", "torch", "safetensors", "onnx"], store, tmp_path / "out")
    names = ["model.onnx", "network.py", "network.safetensors", "model.safetensors", "model.json"]
    assert [file.name for file in found.files] == names
    card = found.card.read_text()
    for file in found.files:
        content = (found.folder / file.name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.sha256
        assert len(content) == file.num_bytes
        assert file.sha256 in card
    result = assay.result("small", store=store)
    run = result.runs[0] if result.runs[0].id in card else result.record.runs_of("rate=0.3")[0]
    assert run.id in card
    assert run.weights_sha256 is not None
    assert run.weights_sha256 in card
    assert result.record.data["content"] in card
    assert run.kept is not None
    count = 288
    interval = share_interval(round(run.kept.validation_accuracy * count), count)
    ends = f"{percent(interval.low)} to {percent(interval.high)}"
    own = f"{percent(run.kept.validation_accuracy)} | {ends} | {count} images"
    assert own in card
    assert "2 seeds" in card
    assert "test split is sealed" in card


def test_eight_bits_are_told_with_what_they_cost(store: Path, tmp_path: Path) -> None:
    found = export_run("small", ["onnx", "onnx-int8"], store, tmp_path / "out")
    plain, small = found.files
    told = re.search(
        r"; ([\d,]+) bytes, ([\d,]+) in float32; accuracy on 288 validation images (.*) %, (.*) % in", small.about
    )
    assert told is not None
    assert [int(number.replace(",", "")) for number in told.groups()[:2]] == [small.num_bytes, plain.num_bytes]
    record = assay.result("small", store=store).record
    (model,) = load_models(record, [find_run("small", store)[1]], store)
    images, labels = model.validation()
    answers = onnx_answer(tmp_path / "out" / "model-int8.onnx")(np.ascontiguousarray(images))
    assert f"{(answers.argmax(1) == labels).mean():.2%}" == f"{told[3]}%"
    assert f"{(model.probabilities(images).argmax(1) == labels).mean():.2%}" == f"{told[4]}%"
    np.testing.assert_allclose(answers, model.probabilities(images), atol=0.1)


def test_the_card_names_the_studys_measure_and_what_training_was_set_to(tmp_path: Path) -> None:
    training = {"epochs": 1, "class_weights": "balanced", "schedule": "cosine"}
    layers = {"layers": ["flatten", "dropout {rate}", "dense classes softmax"]}
    result = assay.run(small_study(network=layers, training=training, metric="log_loss"), store=tmp_path / "store")
    card = result.export("safetensors", folder=tmp_path / "out").card.read_text()
    frame = result.levels().set_index("arm")
    arm = next(arm for arm in frame.index if f"| arm | {arm} |" in card)
    assert f"| log loss | the mean of its arm, validation images | {frame['mean'][arm]:.4f} |" in card
    accuracy = result.levels(metric="accuracy").set_index("arm")["mean"][arm]
    assert f"| accuracy | the mean of its arm, validation images | {100 * accuracy:.2f} % |" in card
    assert "| class weights | balanced |" in card
    assert "| schedule | name cosine" in card
    assert "| over seeds, for new images |" in card


def test_a_run_that_is_judged_by_views_leaves_as_it_sees_an_image_once_and_its_card_says_so(
    store: Path, tmp_path: Path
) -> None:
    training = {"epochs": 1, "batch_size": 64, "evaluation": {"flip": True, "shift": 1}}
    study = small_study(name="views", factors={"rate": [0.0]}, training=training, seeds={"count": 1})
    assay.run(study, store=store)
    found = export_run("views", ["onnx"], store, tmp_path / "out")
    (model,) = load_models(assay.result("views", store=store).record, [find_run("views", store)[1]], store)
    images, _ = model.validation()
    answers = onnx_answer(tmp_path / "out" / "model.onnx")(np.ascontiguousarray(images))
    np.testing.assert_allclose(answers, model.once().probabilities(images), atol=1e-4)
    assert np.abs(answers - model.probabilities(images)).max() > 0.01
    assert "Accuracy here is that of the mean over 6 views of an image. Files look at it once" in found.card.read_text()
    with pytest.raises(SpecError, match="calibrated on the mean over several views, and a file looks at an image once"):
        export_run("views", ["onnx"], store, tmp_path / "sets", request=AnswerRequest(sets=0.9))


@pytest.mark.parametrize("arm", ["train=none", "train=all"])
def test_a_run_on_a_base_leaves_with_its_card(arm: str, based_store: Path, tmp_path: Path) -> None:
    (run,) = assay.result("based", store=based_store).record.runs_of(arm)
    found = export_run(run.id, ["keras", "onnx", "torch", "onnx-int8", "safetensors"], based_store, tmp_path / "out")
    told = [file.about for file in found.files if "largest difference" in file.about]
    assert len(told) == 3
    assert all(float(re.search(r"predictions ([\d.e+-]+), on 288", about)[1]) < 1e-4 for about in told)  # type: ignore[index]
    card = found.card.read_text()
    steps = "1 channel repeated to 3; resized bilinearly to 20 x 20; blue, green, red; minus 103.939, 116.779, 123.68"
    assert f"preparation is inside the model: {steps}" in card
    assert "batch x 8 x 8 x 1" in card
    assert "| base | SqueezeNet 1.1 until block1, random weights. " in card
    spec = json.loads((tmp_path / "out" / "model.json").read_text())
    assert spec["base"]["frozen"] == (["block1"] if arm == "train=none" else [])
    with pytest.raises(SpecError, match=r"SqueezeNet 1.1, and a C header has no code"):
        export_run(run.id, ["c"], based_store, tmp_path / "c")


def test_a_run_on_another_run_leaves_too(store: Path, tmp_path: Path) -> None:
    own = assay.result("small", store=store).record.runs_of("rate=0.3")[0]
    layers = ["flatten", "layernorm", "dense classes softmax"]
    network = {"base": {"weights": f"run:{own.id[:12]}", "train": "last 1 block"}, "layers": layers}
    study = small_study(name="on-a-run", network=network, factors={}, seeds={"count": 1})
    assay.run(study, store=store)
    found = export_run("on-a-run", ["onnx", "keras"], store, tmp_path / "out")
    card = found.card.read_text()
    assert f"| base | run {own.id[:10]} (small, rate=0.3, seed 0) until block1" in card
    assert f"| base's weights | SHA-256 {own.weights_sha256} |" in card


def test_a_c_header_comes_from_a_run(tmp_path: Path) -> None:
    study = small_study(
        name="c", network={"layers": ["conv 4 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"]}, factors={},
        seeds={"count": 1},
    )  # fmt: skip
    assay.run(study, store=tmp_path / "store")
    found = export_run("c", ["c", "c-int4"], tmp_path / "store", tmp_path / "out")
    assert [file.name for file in found.files] == ["model.h", "model-int4.h"]
    sizes = []
    for file in found.files:
        assert (tmp_path / "out" / file.name).read_text().startswith("/* c: ")
        assert "accuracy on 288 validation images" in file.about
        match = re.search(r"([\d,]+) bytes of constants, an arena of ([\d,]+) bytes.* ms at 64 MHz", file.about)
        assert match is not None
        sizes.append(int(match[1].replace(",", "")))
    assert sizes[1] < 0.6 * sizes[0]


def test_four_bits_are_judged_on_all_validation_images(store: Path, tmp_path: Path) -> None:
    exported = export_run("small", ["onnx", "onnx-int4"], store, tmp_path)
    plain, small = exported.files
    assert small.name == "model-int4.onnx"
    assert small.num_bytes < plain.num_bytes
    assert re.search(r"accuracy on 288 validation images [\d.]+ %, [\d.]+ % in float32", small.about)


def test_a_litert_file_that_nothing_can_check_is_not_written(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    for form in ("litert", "litert-int8"):
        with pytest.raises(SpecError, match=r'need ai_edge_litert, which.*pip install "assay\[litert\]"'):
            export_run("small", ["torch", form], store, tmp_path / "out")  # nor one of another format
    assert not (tmp_path / "out").exists()


def test_a_litert_file_comes_from_a_run(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    exported = export_run("small", ["litert", "litert-int8"], store, tmp_path)
    plain, small = exported.files
    match = re.search(r"largest difference from our predictions ([\d.e+-]+), on 288 validation images", plain.about)
    assert match is not None
    assert float(match[1]) < 1e-4
    assert small.num_bytes < plain.num_bytes
    assert "accuracy on 288 validation images" in small.about


def test_a_file_that_answers_otherwise_is_not_kept(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assay import export

    def wrong(path: Path) -> Any:
        return lambda images: np.full((len(images), 10), 0.1, np.float32)

    monkeypatch.setattr(export, "onnx_answer", wrong)
    with pytest.raises(RunError, match="answers otherwise"):
        export_run("small", ["onnx"], store, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_what_cannot_be_exported_is_said(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match=r'no format "kera"; did you mean "keras"'):
        export_run("small", ["kera"], store, tmp_path)
    with pytest.raises(StoreError, match="no run whose id begins with"):
        export_run("nothing", ["onnx"], store, tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(SpecError, match=r'need onnx, .*pip install "assay\[export\]"'):
        export_run("small", ["onnx"], store, tmp_path)


def test_the_command_writes_and_tells(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = assay.result("small", store=store).runs[1]
    arguments = ["export", run.id[:10], "--format", "safetensors", "--store", str(store), "-o", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert {file["name"] for file in told["files"]} == {"model.safetensors", "model.json"}
    assert run.id in Path(told["card"]).read_text()


def test_every_format_has_a_writer() -> None:
    assert exports.FORMATS.keys() == exports._WRITERS.keys()


def _front_matter(text: str) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    assert text.startswith("---\n")
    values: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return values


def test_a_folder_for_the_hub_has_a_card_with_metadata(store: Path, tmp_path: Path) -> None:
    found = export_run("small", ["huggingface", "torch", "onnx"], store, tmp_path / "hub")
    names = ["network.py", "network.safetensors", "config.json", "model.onnx"]
    assert [file.name for file in found.files] == names
    assert found.card.name == "README.md"
    text = found.card.read_text()
    values = _front_matter(text)
    assert (values["pipeline_tag"], values["library_name"]) == ("image-classification", "pytorch")
    (model,) = values["model-index"]
    (result,) = model["results"]
    (metric,) = result["metrics"]
    result_run = next(run for run in assay.result("small", store=store).runs if run.id in text)
    assert result_run.kept is not None
    assert result["dataset"]["split"] == "validation"  # the test split is sealed
    assert metric["value"] == pytest.approx(result_run.kept.validation_accuracy, abs=1e-6)
    config = json.loads((found.folder / "config.json").read_text())
    assert config["id2label"] == {str(k): str(k) for k in range(10)}
    assert (config["image_size"], config["num_channels"]) == ([8, 8], 1)
    assert not (found.folder / "model-card.md").exists()


def test_the_hubs_own_library_reads_the_card(store: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed; pip install 'assay[hub]'")
    found = export_run("small", ["huggingface"], store, tmp_path / "hub")
    card = hub.ModelCard.load(found.card)
    (result,) = card.data.eval_results
    assert (result.task_type, result.metric_type, result.dataset_split) == (
        "image-classification",
        "accuracy",
        "validation",
    )
    assert card.data.to_dict()["pipeline_tag"] == "image-classification"
    assert "## From the hub" in card.text


def test_what_yaml_would_take_for_something_else_is_quoted() -> None:
    from assay.export import HubFacts, metadata_block

    title = 'no: "#yes" \u00e9'
    facts = HubFacts("study: arm, seed 0", title, "", {"test": 0.5, "validation": 1.0})
    values = _front_matter(metadata_block(facts))
    assert values["model-index"][0]["name"] == "study: arm, seed 0"
    assert [one["dataset"]["name"] for one in values["model-index"][0]["results"]] == [title, title]
    assert [one["metrics"][0]["value"] for one in values["model-index"][0]["results"]] == [0.5, 1.0]
    assert "model-index" not in _front_matter(metadata_block(HubFacts("a", "b", "ylecun/mnist", {})))
    digits = _front_matter(metadata_block(HubFacts("a", "Optical digits (8x8)", "", {"test": 0.5})))
    assert digits["model-index"][0]["results"][0]["dataset"]["type"] == "optical-digits-8x8"
