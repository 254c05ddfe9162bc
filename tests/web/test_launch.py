"""A study is started and stopped from its page where that is allowed, and by nobody else."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from assay.data import prepare
from assay.runner import make_plan
from assay.spec import Study
from assay.store import open_reader, open_writer
from assay.web import make_app
from assay.web.launch import Launcher

from ..helpers import small_study
from ..own_code import CONVNET, write
from ..stored import edited
from .conftest import HOSTS, URL


def planned(store: Path, **changes: Any) -> None:
    """A study in the store of which nothing has been trained."""
    layers = ["conv 4 3x3 relu", "layernorm", "flatten", "dense classes softmax"]
    study = small_study(network={"layers": layers}, factors={}, seeds={"count": 1}, **changes)
    plan = make_plan(study, prepare(study.data), store)
    with open_writer(store) as writer:
        plan.register(writer)


def token_of(client: TestClient) -> dict[str, str]:
    found = re.search(r'name="assay-token" content="([^"]+)"', client.get("/studies/small").text)
    assert found is not None
    return {"x-assay-token": found[1]}


def until(is_so: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["at a terminal", "in the background"])
def interrupts(request: pytest.FixtureRequest) -> Iterator[None]:
    """What Ctrl-C does to the server: a script's background processes ignore it, and hand that on to their children."""
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_a_study_is_gone_on_with_and_stopped_from_its_page(tmp_path: Path) -> None:
    planned(tmp_path, training={"epochs": 100_000, "batch_size": 256})
    with TestClient(make_app(tmp_path, HOSTS, allow_run=True), base_url=URL) as client:

        def state() -> dict[str, Any]:
            found: dict[str, Any] = client.get("/api/studies/small").json()
            return found

        for headers in ({}, {"x-assay-token": "guessed"}, {"x-assay-token": "ü"}):
            encoded = {name: value.encode() for name, value in headers.items()}
            assert client.post("/api/studies/small/run", headers=encoded).status_code == 403
        token = token_of(client)
        assert client.post("/api/studies/none/run", headers=token).status_code == 404
        assert client.post("/api/studies/small/stop", headers=token).status_code == 409
        assert client.post("/api/studies/small/run", headers=token).status_code == 202
        assert state()["ours"]
        assert client.post("/api/studies/small/run", headers=token).status_code == 409
        until(lambda: state()["epochs"][0] > 2)
        assert state()["training"]
        assert client.post("/api/studies/small/stop", headers=token).status_code == 202
        until(lambda: not state()["ours"])
        found = state()
        assert found["states"] == {"queued": 1}
        assert found["epochs"][0] > 2  # finished epochs are kept
        assert (found["training"], found["trouble"]) == (False, "")


def test_why_it_cannot_be_trained_is_told(tmp_path: Path) -> None:
    planned(tmp_path)
    with edited(tmp_path) as store:
        (text,) = store.execute("SELECT spec FROM studies").fetchone()
        spec = json.loads(text)
        spec["data"]["name"] = "nowhere"
        store.execute("UPDATE studies SET spec = ?", (json.dumps(spec),))
    with TestClient(make_app(tmp_path, HOSTS, allow_run=True), base_url=URL) as client:
        assert client.post("/api/studies/small/run", headers=token_of(client)).status_code == 202
        until(lambda: not client.get("/api/studies/small").json()["ours"])
        assert '"nowhere" is no known data set' in client.get("/api/studies/small").json()["trouble"]


def test_a_store_that_another_process_writes_is_left_to_it(tmp_path: Path) -> None:
    planned(tmp_path)
    with (
        TestClient(make_app(tmp_path, HOSTS, allow_run=True), base_url=URL) as client,
        open_writer(tmp_path),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("subprocess.Popen", None)  # nothing may be started
        answer = client.post("/api/studies/small/run", headers=token_of(client))
        assert answer.status_code == 409
        assert "training in this store already" in answer.json()["error"]


def test_what_a_page_starts_may_not_name_code(tmp_path: Path) -> None:
    """A record with a module that lies in the store, or that nobody named here: the training ends in a sentence."""
    planned(tmp_path)
    canary = tmp_path / "imported"
    code = f"from pathlib import Path\nPath({str(canary)!r}).write_text('x')\n" + CONVNET
    inside, outside = tmp_path / "served", tmp_path.parent / f"{tmp_path.name}-code"
    for folder, what in ((inside, "code in a store is never imported"), (outside, "no study file has named it")):
        path = write(folder, code)
        with open_reader(tmp_path) as reader:
            record = reader.study("small")
        module = f'module "{path}:ConvNet()"'
        network = record.design.network
        assert network is not None
        design = record.design.model_copy(update={"network": network.model_copy(update={"layers": (module,)})})
        launcher = Launcher(tmp_path)
        launcher.start(Recorded("small", design))  # type: ignore[arg-type]
        until(lambda: not launcher.is_running("small"))  # noqa: B023
        assert what in launcher.trouble("small")
    assert not canary.exists()


@dataclass(frozen=True)
class Recorded:
    """What a launcher asks of a study's record."""

    name: str
    design: Study
