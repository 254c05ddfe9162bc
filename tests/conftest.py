"""What every test stands on: caches and stores of its own, never the user's."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.report import pdf
from assay.runner import LocalExecutor, site

from .cluster import SETTINGS, Nodes
from .in_process import InProcessExecutor
from .schedule import pytest_collection_modifyitems as pytest_collection_modifyitems
from .schedule import pytest_xdist_make_scheduler as pytest_xdist_make_scheduler

ROOT = Path(__file__).parent.parent
DAYS_KEPT = 7  # kernels of code as it was longer ago are not worth their space


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data sets as they were prepared, for all processes of the session."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def own_places(monkeypatch: pytest.MonkeyPatch, shared_cache: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))
    monkeypatch.setenv("ASSAY_STORE", str(tmp_path / "assay-store"))


@pytest.fixture(autouse=True, scope="session")
def training_in_process() -> Iterator[None]:
    """Studies train in the tests' own process: a worker process would take longer to start than they take to train."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "LocalExecutor", InProcessExecutor)
        yield


@pytest.fixture
def worker_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies train in worker processes, as users' studies do."""
    monkeypatch.setattr(site, "LocalExecutor", LocalExecutor)


@pytest.fixture(scope="session")
def based_store(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A store with ``based_study``, finished."""
    import assay

    from .helpers import based_study

    store = tmp_path_factory.mktemp("based") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared_cache))
        assay.run(based_study(), store=store)
    return store


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real MNIST and Fashion-MNIST."""
    folder = Path(os.environ.get("ASSAY_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "mnist" / "train-images-idx3-ubyte.gz").exists():
        pytest.skip("the real MNIST is neither in ASSAY_DATA nor in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the browser. Where ``CI`` is set, tests that need one fail without it."""
    path = os.environ.get("ASSAY_BROWSER") or pdf.chromium()
    if path is None:
        reason = "there is no Chromium: install it (apt-get install chromium), or name one in ASSAY_BROWSER"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return path


@pytest.fixture(autouse=True, scope="session")
def kernels(pytestconfig: pytest.Config, shared_cache: Path) -> Iterator[Path]:
    """Where compiled kernels are kept: beside pytest's own cache, from one session to the next.

    Compiling them takes longer than everything else that the tests of the kernels do. A kernel's file is named by its
    source, its folder by the code and the libraries that it is compiled with, so none is ever out of date.
    """
    cache = getattr(pytestconfig, "cache", None)  # none with -p no:cacheprovider
    folder = Path(cache.mkdir("kernels")) if cache else shared_cache / "assay" / "kernels"
    for version in folder.glob("*"):
        if time.time() - version.stat().st_mtime > DAYS_KEPT * 86_400:
            shutil.rmtree(version, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_KERNELS", str(folder))
        yield folder


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory, kernels: Path) -> Iterator[Nodes]:
    """The session's Ray cluster, of which only the head is there at first."""
    nodes = Nodes(tmp_path_factory.mktemp("nodes"), kernels, has_client=True)
    try:
        yield nodes
    finally:
        nodes.close()


@pytest.fixture
def two_nodes(ray_cluster: Nodes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """The cluster with two nodes of two cores, one of which says that it has a GPU; no test breaks them."""
    monkeypatch.setenv("RAY_ADDRESS", ray_cluster.address)
    if not ray_cluster.has("one", "two"):
        ray_cluster.clear()
        for name in ("one", "two"):
            ray_cluster.add(name, cores=2, gpus=int(name == "one"))
    yield ray_cluster
    ray_cluster.hold.open()


@pytest.fixture
def no_nodes(ray_cluster: Nodes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """The cluster with its head alone, for a test that adds nodes and breaks them."""
    monkeypatch.setenv("RAY_ADDRESS", ray_cluster.address)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    ray_cluster.clear()
    yield ray_cluster
    ray_cluster.clear()
