"""The page for microcontrollers: costs, two answers, and a ZIP file whose program says what the page showed."""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import assay
from assay.data import prepare
from assay.nets.fixed_point import CODINGS, CORES
from assay.results.exports import export_run
from assay.results.microcontroller import candidates_of, program_of
from assay.results.model import Model, load_models, runs_of_arm
from assay.spec import Study
from assay.web.app import make_app

from ..helpers import small_study
from .conftest import HOSTS, URL

API = "/api/studies/small/bytes"
ARM = "rate=0.3"
PNG = {"content-type": "image/png"}


@pytest.fixture
def model(finished_store: Path) -> Model:
    record = assay.result("small", store=finished_store).record
    (found,) = load_models(record, runs_of_arm(record, ARM)[:1], finished_store)
    return found


@pytest.fixture
def digit(finished_store: Path) -> Any:
    record = assay.result("small", store=finished_store).record
    return np.asarray(prepare(Study.of(record.spec).data).training().images)[7]


def png_of(image: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()


def test_candidates_come_with_what_they_cost(client: TestClient, finished_store: Path) -> None:
    values = client.get(API).json()
    assert [one["name"] for one in values["codings"]] == list(CODINGS)
    assert [one["name"] for one in values["cores"]] == list(CORES)
    candidates = values["candidates"]
    assert {one["arm"] for one in candidates} == {"rate=0", ARM}
    assert candidates[0]["score"] >= candidates[1]["score"]
    for one in candidates:
        sizes = [one["costs"][coding]["bytes"] for coding in CODINGS]
        assert sizes == sorted(sizes, reverse=True)
        assert set(one["costs"]["int8"]["microseconds"]) == set(CORES)
        assert one["seeds"] == 2
        assert one["reason"] == ""


def test_a_candidate_is_judged_beside_its_network(client: TestClient, model: Model) -> None:
    values = client.get(f"{API}/program", params={"arm": ARM, "coding": "int4"}).json()
    program = program_of(model, "int4")
    assert values["run"] == model.run.id[:12]
    assert values["costs"]["bytes"] == program.num_bytes
    assert values["costs"]["ram"] == program.arena.size
    images, labels = model.validation()
    right = float(np.mean(program.logits(images).argmax(1) == labels))
    assert values["agreement"]["accuracy"] == pytest.approx(right)
    assert values["agreement"]["num_images"] == len(labels)


def test_both_answers_are_those_of_the_program_and_its_network(client: TestClient, model: Model, digit: Any) -> None:
    asked = f"{API}/image?arm={ARM}&coding=int8&kind=picture"
    values = client.post(asked, content=png_of(digit[:, :, 0]), headers=PNG).json()
    seen = np.frombuffer(base64.b64decode(values["seen"]), np.uint8).reshape(1, 8, 8, 1)
    np.testing.assert_allclose(values["float"], model.probabilities(seen)[0], atol=1e-4)
    program = program_of(model, "int8")
    np.testing.assert_array_equal(values["logits"], program.whole_logits(seen)[0])
    assert sum(values["whole"]) == pytest.approx(1, abs=1e-3)
    assert int(np.argmax(values["whole"])) == int(np.argmax(values["logits"]))


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc here")
@pytest.mark.parametrize("coding", ["int8", "ternary"])
def test_the_file_says_what_the_page_showed(
    coding: str, client: TestClient, model: Model, digit: Any, tmp_path: Path, finished_store: Path
) -> None:
    query, picture = f"arm={ARM}&coding={coding}&kind=picture", png_of(digit[:, :, 0])
    shown = client.post(f"{API}/image?{query}", content=picture, headers=PNG).json()
    reply = client.post(f"{API}/file?{query}", content=picture, headers=PNG)
    assert reply.headers["content-type"] == "application/zip"
    assert reply.headers["content-disposition"] == 'attachment; filename="model.zip"'
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        archive.extractall(tmp_path)
    header = "model.h" if coding == "int8" else "model-ternary.h"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["example.c", "model-card.md", header]
    form = "c" if coding == "int8" else f"c-{coding}"
    exported = export_run(model.run.id, [form], finished_store, tmp_path / "exported")
    assert (exported.folder / header).read_bytes() == (tmp_path / header).read_bytes()
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", *strict, "example.c", "-o", "example"], cwd=tmp_path, check=True, timeout=60)
    printed = subprocess.run([tmp_path / "example"], capture_output=True, check=True, text=True).stdout.splitlines()
    assert [int(line.split()[0]) for line in printed[:-1]] == shown["logits"]
    assert printed[-1] == f"answer: {model.classes[int(np.argmax(shown['logits']))]}"
    assert model.run.id in (tmp_path / "model-card.md").read_text()


def test_without_a_drawing_the_example_holds_a_blank_image(client: TestClient) -> None:
    reply = client.get(f"{API}/file?coding=int2")
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        assert "a blank image" in archive.read("example.c").decode()
        assert "model-int2.h" in archive.namelist()


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/program?coding=int3", 422, 'weights cannot be stored as "int3"'),
        ("/program?arm=none", 422, "none"),
        ("/file?coding=", 422, "known codings: int8, int4, int2, ternary"),
    ],
)
def test_what_is_not_known_is_refused_in_a_sentence(client: TestClient, path: str, status: int, message: str) -> None:
    reply = client.get(API + path)
    assert reply.status_code == status
    assert message in reply.json()["error"]


def test_what_is_sent_is_checked_as_in_the_playground(client: TestClient) -> None:
    for place in ("image", "file"):
        assert client.post(f"{API}/{place}?kind=song", content=b"x", headers=PNG).status_code == 400
        assert client.post(f"{API}/{place}", content=b"x", headers=PNG).status_code == 422
        assert client.post(f"{API}/{place}", content=b"x", headers={"content-type": "text/plain"}).status_code == 415
        foreign = client.post(f"{API}/{place}", content=b"x", headers={**PNG, "origin": "http://evil.example"})
        assert foreign.status_code == 403
    assert client.delete(f"{API}/file").status_code == 405


def test_an_arm_without_c_code_says_why(tmp_path: Path) -> None:
    base = {"name": "squeezenet", "weights": "random", "until": "block1", "size": 20}
    layers = ["globalavgpool", "dense classes softmax"]
    study = small_study(
        name="based", network={"base": base, "layers": layers}, factors={}, seeds={"count": 1},
        training={"epochs": 1, "batch_size": 64},
    )  # fmt: skip
    record = assay.run(study, store=tmp_path).record
    (one,) = candidates_of(record)
    assert one.costs == {}
    assert one.reason.startswith("it stands on SqueezeNet")
    with TestClient(make_app(tmp_path, HOSTS), base_url=URL) as client:
        assert client.get("/api/studies/based/bytes/program").status_code == 422
        assert client.get("/studies/based/bytes").status_code == 200


def test_a_run_that_was_trained_in_whole_numbers_keeps_its_weights(tmp_path: Path) -> None:
    training = {"epochs": 1, "batch_size": 64, "quantization": {"weights": 4}}
    layers = ["conv 4 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"]
    study = small_study(name="whole", network={"layers": layers}, factors={}, seeds={"count": 1}, training=training)
    record = assay.run(study, store=tmp_path).record
    (one,) = candidates_of(record)
    assert len({costs.bytes for costs in one.costs.values()}) == 1
    with TestClient(make_app(tmp_path, HOSTS), base_url=URL) as client:
        values = [client.get(f"/api/studies/whole/bytes/program?coding={coding}").json() for coding in CODINGS]
        reply = client.get("/api/studies/whole/bytes/file?coding=int2")
    assert {value["weights"] for value in values} == {"as trained"}
    assert {value["costs"]["bytes"] for value in values} == {one.costs["int8"].bytes}
    exported = export_run("whole", ["c"], tmp_path, tmp_path / "out")
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        assert archive.read("model.h") == (exported.folder / "model.h").read_bytes()
