"""A store with a small finished study, and the pages over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import assay
from assay.web import make_app
from assay.web.guard import Hosts

from ..helpers import small_study

HOSTS = Hosts("127.0.0.1", 8765)
URL = "http://127.0.0.1:8765"


@pytest.fixture(scope="session")
def finished_store(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    store = tmp_path_factory.mktemp("served") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared_cache))
        layers = ["conv 8 3x3 relu", "layernorm", "maxpool 2", "dropout {rate}", "flatten", "dense classes softmax"]
        training = {"epochs": 4, "batch_size": 32, "optimizer": {"name": "adam", "learning_rate": 0.01}}
        assay.run(small_study(network={"layers": layers}, training=training), store=store)
    return store


@pytest.fixture
def client(finished_store: Path) -> Iterator[TestClient]:
    with TestClient(make_app(finished_store, HOSTS), base_url=URL) as found:
        yield found
