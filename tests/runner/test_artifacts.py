"""A folder that machines share: files are whole or absent, and what cannot be used is told before anything trains."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import assay
from assay import disk
from assay.data import prepare
from assay.errors import AssayError, ClusterError
from assay.runner import make_plan
from assay.runner.artifacts import Artifacts, checked
from assay.runner.site import ThisMachine
from assay.runner.worker import CHECKPOINT
from assay.store import open_reader, open_writer

from ..helpers import small_study


@pytest.fixture(params=["file", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    return checked((tmp_path / "shared").as_uri() if request.param == "file" else f"memory://{tmp_path.name}")


def names(place: Artifacts) -> list[str]:
    from fsspec.core import url_to_fs

    system, root = url_to_fs(place.url)
    return [Path(found).name for found in system.find(root)]


def test_a_file_comes_back_as_it_was_and_nothing_else_stays(place: Artifacts, tmp_path: Path) -> None:
    assert names(place) == []  # nor of having tried it
    file, back = tmp_path / "weights", tmp_path / "home" / "weights"
    for content in (b"first" * 1000, b"second"):
        file.write_bytes(content)
        place.put("run", file)
        assert place.get("run", back)
        assert back.read_bytes() == content
    assert names(place) == ["weights"]
    assert not place.get("run", tmp_path / "checkpoint")
    assert not place.get("other", tmp_path / "weights-of-another")
    place.remove("run")
    place.remove("run")
    assert names(place) == []
    assert not place.get("run", back)


def test_a_store_that_was_moved_is_not_made_again(place: Artifacts, tmp_path: Path) -> None:
    """Weights there and rows elsewhere would be half a store."""
    file = tmp_path / "weights"
    file.write_bytes(b"weights")
    place.put("run", file)
    store = tmp_path / "folder" / "store"
    with pytest.raises(AssayError):
        place.get("run", store / "runs" / "ab" / "run" / "weights")
    assert not store.parent.exists()


def test_a_copy_that_breaks_off_leaves_the_file_before(
    place: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, back = tmp_path / "checkpoint", tmp_path / "home" / "checkpoint"
    file.write_bytes(b"whole")
    place.put("run", file)

    def copy(source: object, target: object, size: int) -> None:
        target.write(b"ha")  # type: ignore[attr-defined]
        raise ConnectionResetError("gone")

    for step in (lambda: place.put("run", file), lambda: place.get("run", back)):
        with monkeypatch.context() as patch:
            patch.setattr("shutil.copyfileobj", copy)
            with pytest.raises(assay.errors.AssayError, match="gone"):
                step()
    assert not back.exists()
    assert place.get("run", back)
    assert back.read_bytes() == b"whole"


def test_a_machine_knows_whether_it_sees_what_another_has_written(place: Artifacts) -> None:
    assert "does not see" in place.why_not(".sign")
    place.mark(".sign")
    assert place.why_not(".sign") == ""
    place.unmark(".sign")
    assert names(place) == []


@pytest.mark.parametrize("is_here", [False, True])
def test_this_machine_goes_on_from_the_newest_checkpoint_and_clears_the_place(
    place: Artifacts, tmp_path: Path, is_here: bool
) -> None:
    plan = make_plan(small_study(), prepare("digits"), tmp_path / "store")
    file = tmp_path / CHECKPOINT
    file.write_bytes(b"left there")
    for task in plan.tasks:
        place.put(task.id, file)
        if is_here:
            disk.write(task.folder / CHECKPOINT, b"written here since")
    with open_writer(tmp_path / "store"), open_reader(tmp_path / "store") as reader:
        ThisMachine(tmp_path / "logs", place).executor(plan, reader, print, 1, 1).close()
    found = {(task.folder / CHECKPOINT).read_bytes() for task in plan.tasks}
    assert found == {b"written here since" if is_here else b"left there"}
    assert names(place) == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("shared", '"shared" is no URL of a folder'),
        ("s3://", '"s3://" is no URL of a folder'),
        ("nowhere://bucket/folder", '"nowhere" is no protocol of fsspec'),
        ("file:///dev/null/folder", "artifacts at file:///dev/null/folder cannot be written"),
    ],
)
def test_what_cannot_be_used_is_told_before_anything_trains(url: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ClusterError) as caught:
        assay.run(small_study(), store=tmp_path / "store", artifacts=url)
    assert told in str(caught.value)
    assert not (tmp_path / "store" / "store.sqlite").exists()


def test_a_protocol_whose_package_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("s3fs") is None:
        with pytest.raises(ClusterError, match=r"s3:// needs a package that is not installed \(.*s3fs"):
            checked("s3://bucket/folder")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ClusterError, match="fsspec is not installed; pip install"):
        checked("file:///shared")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file://shared/folder", "write file:///shared/folder for the folder /shared/folder"),
        ("file:///shared/../etc", "has . or .. in its path"),
        ("s3://bucket/../other", "has . or .. in its path"),
        ("s3://bucket/run*", "has '*' in its path"),
        ("simplecache::s3://bucket/folder", "leads through another place"),
        ("zip://folder::https://example.org/a.zip", "leads through another place"),
        ("https://example.org/folder", "https:// cannot be written"),
    ],
)
def test_a_url_that_leads_elsewhere_is_refused_before_any_host_is_asked(
    url: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*values: object, **settings: object) -> None:
        raise AssertionError("a host was asked")

    monkeypatch.setattr("socket.socket.connect", ask)
    monkeypatch.setattr("socket.getaddrinfo", ask)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClusterError) as caught:
        checked(url)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_trying_needed_are_gone_again(tmp_path: Path) -> None:
    checked((tmp_path / "new" / "shared").as_uri())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    checked((tmp_path / "mine").as_uri())
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]  # somebody's empty folder stays


def test_a_refusal_leaves_no_folder_behind(tmp_path: Path) -> None:
    # A place that can be made but not written: trying it makes two folders, and takes them away again.
    place = Artifacts((tmp_path / "new" / "shared").as_uri())
    with pytest.raises(ClusterError, match="cannot be written"):
        place.mark("x" * 300)  # longer than a file's name may be
    assert list(tmp_path.iterdir()) == []


def test_a_mark_takes_only_folders_with_it_that_are_empty(tmp_path: Path) -> None:
    place = Artifacts((tmp_path / "new" / "shared").as_uri())
    place.mark(".sign")
    file = tmp_path / "weights"
    file.write_bytes(b"kept")
    place.put("run", file)
    place.unmark(".sign")
    assert (tmp_path / "new" / "shared" / "run" / "weights").read_bytes() == b"kept"


@pytest.mark.parametrize("run", ["", "..", "../other", "a/b", "."])
def test_nothing_is_written_outside_a_runs_folder(run: str, tmp_path: Path) -> None:
    place, file = Artifacts((tmp_path / "shared").as_uri()), tmp_path / "weights"
    file.write_bytes(b"content")
    for step in (lambda: place.put(run, file), lambda: place.get(run, file), lambda: place.remove(run)):
        with pytest.raises(ClusterError, match="no name of a run's folder"):
            step()
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]
