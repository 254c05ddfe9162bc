"""The playground's answers are those of the arm's networks; /predict gives the same to programs."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image
from starlette.testclient import TestClient

import assay
from assay.data import prepare
from assay.results.model import Model, load_models, runs_of_arm
from assay.results.predictions import load_ensemble
from assay.spec import Study
from assay.store import StudyRecord
from assay.web.app import make_app
from assay.web.predict import openapi

from ..helpers import small_study
from .conftest import HOSTS, URL

ARM = "rate=0.3"
API = "/api/studies/small/play"


@pytest.fixture
def record(finished_store: Path) -> StudyRecord:
    return assay.result("small", store=finished_store).record


@pytest.fixture
def models(record: StudyRecord, finished_store: Path) -> tuple[Model, ...]:
    return load_models(record, runs_of_arm(record, ARM), finished_store)


@pytest.fixture
def images(record: StudyRecord) -> Any:
    return np.asarray(prepare(Study.of(record.spec).data).training().images)


def png_of(image: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()


def test_what_can_be_asked(client: TestClient) -> None:
    found = client.get(API).json()
    assert {arm["name"]: arm["n"] for arm in found["arms"]} == {"rate=0": 2, ARM: 2}
    assert found["shape"] == [8, 8, 1]
    assert found["networks"] == ["seed 0", "seed 1"]
    assert found["framing"]
    assert client.get(f"{API}?arm=none").status_code == 422


def test_a_picture_is_answered_by_all_seeds(client: TestClient, models: tuple[Model, ...], images: Any) -> None:
    whole = next(image for image in images if image[:, :, 0].any(1).all() and image[:, :, 0].max() == 255)
    answer = client.post(
        f"{API}/image?arm={ARM}&kind=drawing", content=png_of(whole[:, :, 0]), headers={"content-type": "image/png"}
    )
    found = answer.json()
    seen = np.frombuffer(base64.b64decode(found["seen"]), np.uint8).reshape(8, 8, 1)
    votes = [model.probabilities(seen[None])[0] for model in models]
    np.testing.assert_allclose(found["votes"], votes, atol=1e-4)
    np.testing.assert_allclose(found["probabilities"], np.mean(votes, axis=0), atol=1e-4)
    heat = np.frombuffer(base64.b64decode(found["cam"]), np.uint8)
    assert heat.shape == (64,)
    assert found["milliseconds"] > 0


def test_networks_on_a_base_are_asked_about_stored_images(based_store: Path, images: Any) -> None:
    model = assay.find("based", store=based_store).model()
    play = f"/api/studies/based/play/image?arm={model.arm.name}"
    with TestClient(make_app(based_store, HOSTS), base_url=URL) as client:
        found = client.post(play, content=png_of(images[3, :, :, 0]), headers={"content-type": "image/png"}).json()
        seen = np.frombuffer(base64.b64decode(found["seen"]), np.uint8).reshape(1, 8, 8, 1)
        np.testing.assert_allclose(found["probabilities"], model.probabilities(seen)[0], atol=1e-4)
        heat = np.frombuffer(base64.b64decode(found["cam"]), np.uint8)
        assert heat.shape == (64,)  # though the base sees 20 x 20
        body = {"study": "based", "arm": model.arm.name, "images": [images[3].tolist()]}
        (predicted,) = client.post("/predict", json=body).json()["predictions"]
    np.testing.assert_allclose(predicted["probabilities"], model.probabilities(images[3:4])[0], atol=1e-5)


def test_confidence_is_calibrated_as_predict_does_it(
    client: TestClient, models: tuple[Model, ...], images: Any, finished_store: Path
) -> None:
    ask_one = f"{API}/image?arm={ARM}"
    png, kind = png_of(images[5, :, :, 0]), {"content-type": "image/png"}
    assert client.post(ask_one, content=png, headers=kind).json()["confidence"] is None
    asked = load_ensemble("small", finished_store, arm=ARM, calibrated=True)
    assert asked.calibration is not None
    for _ in range(2):  # worked out once
        told = client.get(f"{API}/calibration?arm={ARM}").json()
        assert told["temperature"] == pytest.approx(asked.calibration.temperature, rel=1e-6)
        assert told["images"] == asked.calibration.num_images > 400
        assert told["error"] == pytest.approx(asked.calibration.error)
        assert told["coverages"] == [0.9, 0.95, 0.99]
        assert told["refused"] == 0.05
        assert told["shared"] == pytest.approx(asked.shared)
    found = client.post(ask_one, content=png, headers=kind).json()
    seen = np.frombuffer(base64.b64decode(found["seen"]), np.uint8).reshape(1, 8, 8, 1)
    assert found["confidence"] == pytest.approx(asked.ensemble.probabilities(seen).max(), abs=1e-4)
    assert found["confidence"] != pytest.approx(max(found["probabilities"]), abs=1e-4)
    assert list(found["sets"]) == ["0.9", "0.95", "0.99"]
    assert set(found["sets"]["0.9"]) <= set(found["sets"]["0.99"])
    noise = png_of(np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8))
    foreign = client.post(ask_one, content=noise, headers=kind).json()
    assert foreign["unlike"] > 1 > found["unlike"]


def test_without_validation_images_confidence_is_not_calibrated(tmp_path: Path) -> None:
    layers = ["flatten", "layernorm", "dense classes softmax"]
    data = {"name": "digits", "validation": 50}
    study = small_study(name="few", data=data, network={"layers": layers}, factors={}, seeds={"count": 1})
    assay.run(study, store=tmp_path)
    with TestClient(make_app(tmp_path, HOSTS), base_url=URL) as client:
        told = client.get("/api/studies/few/play/calibration").json()
    assert told == {"temperature": None, "why": "a temperature is fitted on validation images, and there are 50"}


def test_a_blank_board_has_no_heat(client: TestClient) -> None:
    blank = png_of(np.zeros((280, 280), np.uint8))
    found = client.post(f"{API}/image?kind=drawing", content=blank, headers={"content-type": "image/png"}).json()
    assert found["is_blank"]
    assert found["cam"] == ""
    assert sum(found["probabilities"]) == pytest.approx(1, abs=1e-3)


def test_only_networks_that_never_saw_an_image_answer(
    client: TestClient, models: tuple[Model, ...], images: Any
) -> None:
    found = client.get(f"{API}/picks?arm={ARM}").json()
    assert found["looked"] > 40
    held = [{image.tobytes() for image in model.validation()[0]} for model in models]
    for pick in found["picks"][:12]:
        image = images[pick["index"]]
        answer = client.get(f"{API}/picks/{pick['index']}?arm={ARM}").json()
        assert answer["networks"] == [place for place, known in enumerate(held) if image.tobytes() in known]
        assert len(answer["networks"]) == pick["networks"] > 0
        votes = [models[place].probabilities(image[None])[0] for place in answer["networks"]]
        np.testing.assert_allclose(answer["probabilities"], np.mean(votes, axis=0), atol=1e-4)
        assert answer["label"] == pick["label"]
    mistakes = client.get(f"{API}/picks?arm={ARM}&mistakes=1").json()
    assert all(pick["label"] != pick["predicted"] for pick in mistakes["picks"])
    assert len(mistakes["picks"]) == min(mistakes["mistakes"], 48)
    trained = next(i for i in range(len(images)) if not any(images[i].tobytes() in known for known in held))
    assert client.get(f"{API}/picks/{trained}?arm={ARM}").status_code == 404
    assert client.get(f"{API}/picks/99999999?arm={ARM}").status_code == 404


def test_predict_keeps_its_description(
    client: TestClient, models: tuple[Model, ...], images: Any, record: StudyRecord
) -> None:
    document = client.get("/openapi.json").json()
    assert document == openapi()
    schemas = document["components"]["schemas"]

    def check(name: str, value: object) -> None:
        Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}).validate(
            value
        )

    asked: dict[str, Any] = {"study": "small", "arm": ARM, "images": images[:5, :, :, 0].tolist()}
    check("PredictRequest", asked)
    answer = client.post("/predict", json=asked)
    check("PredictResponse", answer.json())
    expected = np.mean([model.probabilities(images[:5]) for model in models], axis=0)
    found = answer.json()
    np.testing.assert_allclose([p["probabilities"] for p in found["predictions"]], expected, atol=1e-5)
    assert [p["label"] for p in found["predictions"]] == [str(label) for label in expected.argmax(1)]
    assert found["runs"] == [model.run.id for model in models]
    assert set(document["paths"]["/predict"]["post"]["responses"]) >= {"200", "403", "413", "415", "421", "422"}
    refused = client.post("/predict", json={"study": "none", "images": asked["images"]})
    assert refused.status_code == 404
    check("Failure", refused.json())


def test_predict_answers_with_sets_and_refusal_as_the_command_does(
    client: TestClient, images: Any, finished_store: Path
) -> None:
    asked: dict[str, Any] = {"study": "small", "arm": ARM, "images": images[:40].tolist()}
    whole = client.post("/predict", json={**asked, "sets": 0.95, "set_method": "threshold", "refuse": 0.1}).json()
    frame = assay.predict(
        "small", images[:40], arm=ARM, sets=0.95, set_method="threshold", refuse=0.1, store=finished_store
    )
    found = whole["predictions"]
    assert [tuple(one["set"]) for one in found] == list(frame["Set"])
    np.testing.assert_allclose([one["unlike"] for one in found], frame["Unlike"], rtol=1e-4)
    assert [one["refused"] for one in found] == list(frame["Refused"])
    assert whole["note"] == frame.attrs["note"]
    assert any(len(one["set"]) != 1 for one in found)
    plain = client.post("/predict", json=asked).json()
    assert "note" not in plain
    assert set(plain["predictions"][0]) == {"label", "confidence", "probabilities"}
    for wrong, part in (
        ({"sets": 1.0}, "sets"),
        ({"by_class": True}, "by_class belong to sets, and none are asked for"),
        ({"refuse": 0.0001}, "refusing 0.0001 of them takes 9999"),
        ({"sets": 0.9999}, "a coverage of 0.9999 takes"),
    ):
        refused = client.post("/predict", json={**asked, **wrong})
        assert refused.status_code == 422
        assert part in refused.json()["error"]


def test_one_run_can_be_asked(client: TestClient, models: tuple[Model, ...], images: Any) -> None:
    run = models[1].run.id
    nested = images[:2].tolist()  # with a last axis of one channel
    found = client.post("/predict", json={"study": "small", "run": run[:10], "images": nested}).json()
    np.testing.assert_allclose(
        [p["probabilities"] for p in found["predictions"]], models[1].probabilities(images[:2]), atol=1e-5
    )
    both = {"study": "small", "run": run, "arm": ARM, "images": nested}
    assert client.post("/predict", json=both).status_code == 422
    assert client.post("/predict", json={"study": "small", "run": "ffff", "images": nested}).status_code == 422


def test_a_picture_is_framed_as_a_drawing_is_where_that_is_asked_for(client: TestClient, images: Any) -> None:
    large = np.asarray(Image.fromarray(images[0, :, :, 0]).resize((160, 160), Image.Resampling.NEAREST))
    paper = png_of(255 - np.pad(large, 40))
    asked = {"study": "small", "images": [base64.b64encode(paper).decode()], "framed": True}
    one = client.post("/predict", json=asked).json()
    drawn = client.post(
        f"{API}/image?kind=drawing", content=png_of(np.pad(large, 40)), headers={"content-type": "image/png"}
    ).json()
    np.testing.assert_allclose(one["predictions"][0]["probabilities"], drawn["probabilities"], atol=1e-3)
    headers = {"content-type": "image/png"}
    character = client.post(f"{API}/image?kind=character", content=paper, headers=headers).json()
    np.testing.assert_allclose(character["probabilities"], drawn["probabilities"], atol=1e-3)
    plain = client.post(f"{API}/image?kind=picture", content=paper, headers=headers).json()
    small = Image.fromarray(255 - np.pad(large, 40)).resize((8, 8), Image.Resampling.BILINEAR)
    assert base64.b64decode(plain["seen"]) == np.asarray(small).tobytes()
