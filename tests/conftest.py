"""What every test stands on: caches and stores of its own, never the user's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cluster import Nodes

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for the whole session, so that its processes compile a kernel once."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def own_places(monkeypatch: pytest.MonkeyPatch, shared_cache: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))
    monkeypatch.setenv("ASSAY_STORE", str(tmp_path / "assay-store"))


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
def kernels(shared_cache: Path) -> Path:
    """Where every test's workers keep what they compiled."""
    return shared_cache / "assay" / "kernels"


@pytest.fixture(scope="session")
def two_nodes(tmp_path_factory: pytest.TempPathFactory, kernels: Path) -> Iterator[Nodes]:
    """A Ray cluster with two nodes of two cores, one of which says that it has a GPU, which no test breaks."""
    nodes = Nodes(tmp_path_factory.mktemp("nodes"), kernels, has_client=True)
    try:
        for name in ("one", "two"):
            nodes.add(name, cores=2, gpus=int(name == "one"))
        yield nodes
    finally:
        nodes.close()
