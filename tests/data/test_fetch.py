"""Fetching from mirrors on this machine that are slow of wit, cut off, or wrong."""

from __future__ import annotations

import dataclasses
import socket
import sys

import pytest

from assay.data import fetch, raw_folder
from assay.data.prepare import prepare_entry
from assay.data.registry.fetch import fetch_entry
from assay.errors import DataError, DiskFull, SpecError

IMAGES = "train-images-idx3-ubyte.gz"


def test_files_come_from_the_first_mirror_and_are_reported(mirrored, mirrors):
    heard = []
    paths = fetch_entry(mirrored.entry, progress=lambda *report: heard.append(report))
    assert {path.name: path.read_bytes() for path in paths} == mirrored.files
    assert [path.parent for path in paths] == [raw_folder("tiny")] * 4
    assert sorted(path.name for path in raw_folder("tiny").iterdir()) == sorted(mirrored.files)
    assert [name for name, _, _ in mirrors[0].asked] == list(mirrored.files)
    assert mirrors[1].asked == []
    for name, content in mirrored.files.items():
        done = [bytes_done for heard_name, bytes_done, _ in heard if heard_name == name]
        assert done == sorted(done)
        assert done[-1] == len(content)
        assert {total for heard_name, _, total in heard if heard_name == name} == {len(content)}
    assert len(prepare_entry(mirrored.entry).training()) == 12


def test_what_is_there_and_intact_is_not_fetched_again(mirrored, mirrors):
    fetch_entry(mirrored.entry)
    mirrors[0].asked.clear()
    (raw_folder("tiny") / IMAGES).write_bytes(b"damaged")
    paths = fetch_entry(mirrored.entry)
    assert mirrors[0].asked == [(IMAGES, None, len(mirrored.files[IMAGES]))]
    assert paths[0].read_bytes() == mirrored.files[IMAGES]


def test_a_download_that_breaks_off_is_continued_by_the_next_mirror(mirrored, mirrors):
    size = len(mirrored.files[IMAGES])
    mirrors[0].cuts_after_bytes = 1000
    paths = fetch_entry(mirrored.entry)
    assert paths[0].read_bytes() == mirrored.files[IMAGES]
    assert mirrors[0].asked[0] == (IMAGES, None, 1000)
    assert mirrors[1].asked[0] == (IMAGES, "bytes=1000-", size - 1000)
    assert sorted(path.name for path in raw_folder("tiny").iterdir()) == sorted(mirrored.files)


def test_a_later_call_requests_only_the_rest(mirrored, mirrors):
    size = len(mirrored.files[IMAGES])
    for mirror, cut in zip(mirrors, (3000, 2000), strict=True):
        mirror.cuts_after_bytes = cut
    with pytest.raises(DataError, match=f"broke off after 5000 of {size} bytes"):
        fetch_entry(mirrored.entry)
    folder = raw_folder("tiny")
    assert [path.name for path in folder.iterdir()] == [f"{IMAGES}.part"]
    assert (folder / f"{IMAGES}.part").read_bytes() == mirrored.files[IMAGES][:5000]
    mirrors[0].cuts_after_bytes = None
    mirrors[0].asked.clear()
    heard = []
    fetch_entry(mirrored.entry, progress=lambda *report: heard.append(report))
    assert mirrors[0].asked[0] == (IMAGES, "bytes=5000-", size - 5000)
    assert heard[0][1] > 5000
    assert heard[0][2] == size
    assert (folder / IMAGES).read_bytes() == mirrored.files[IMAGES]


def test_a_mirror_without_ranges_starts_again(mirrored, mirrors):
    mirrors[0].understands_ranges = False
    folder = raw_folder("tiny")
    folder.mkdir(parents=True)
    (folder / f"{IMAGES}.part").write_bytes(b"x" * 5000)
    fetch_entry(mirrored.entry)
    asked = [request for request in mirrors[0].asked if request[0] == IMAGES]
    assert asked == [(IMAGES, "bytes=5000-", len(mirrored.files[IMAGES]))]
    assert (folder / IMAGES).read_bytes() == mirrored.files[IMAGES]


def test_a_mirror_that_sends_another_part_is_left(mirrored, mirrors):
    mirrors[0].lies_about_ranges = True
    folder = raw_folder("tiny")
    folder.mkdir(parents=True)
    (folder / f"{IMAGES}.part").write_bytes(mirrored.files[IMAGES][:5000])
    fetch_entry(mirrored.entry)
    assert mirrors[1].asked == [(IMAGES, "bytes=5000-", len(mirrored.files[IMAGES]) - 5000)]
    assert (folder / IMAGES).read_bytes() == mirrored.files[IMAGES]


@pytest.mark.parametrize("part", ["damaged", "too long", "finished"])
def test_a_complete_part_is_used_or_fetched_anew_once(mirrored, mirrors, part):
    content = mirrored.files[IMAGES]
    left = {"damaged": b"x" * len(content), "too long": content + b"x", "finished": content}[part]
    folder = raw_folder("tiny")
    folder.mkdir(parents=True)
    (folder / f"{IMAGES}.part").write_bytes(left)
    fetch_entry(mirrored.entry)
    asked = [request for request in mirrors[0].asked if request[0] == IMAGES]
    anew = [] if part == "finished" else [(IMAGES, None, len(content))]
    assert asked == [(IMAGES, f"bytes={len(left)}-", 0), *anew]
    assert mirrors[1].asked == []
    assert (folder / IMAGES).read_bytes() == content


def test_damaged_content_is_refused_and_the_second_mirror_used(mirrored, mirrors):
    mirrors[0].files[IMAGES] = b"<html>please log in</html>"
    fetch_entry(mirrored.entry)
    assert [name for name, _, _ in mirrors[1].asked] == [IMAGES]
    assert (raw_folder("tiny") / IMAGES).read_bytes() == mirrored.files[IMAGES]


def test_damaged_content_everywhere_leaves_nothing(mirrored, mirrors):
    for mirror in mirrors:
        mirror.files[IMAGES] = mirrored.files[IMAGES][:-20] + bytes(20)
    with pytest.raises(DataError, match="sent damaged content"):
        fetch_entry(mirrored.entry)
    assert list(raw_folder("tiny").iterdir()) == []
    assert len(mirrors[0].asked) + len(mirrors[1].asked) == 3  # one of them was asked anew, once


def test_a_mirror_without_the_file_is_passed_over(mirrored, mirrors):
    del mirrors[0].files[IMAGES]
    fetch_entry(mirrored.entry)
    assert [name for name, _, _ in mirrors[1].asked] == [IMAGES]


def test_offline_is_one_sentence_with_the_files_and_the_place(tiny, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with pytest.raises(DataError) as caught:
        fetch_entry(tiny.entry)
    (problem,) = caught.value.problems
    assert problem.file == str(raw_folder("tiny"))
    assert "Temporary failure in name resolution" in problem.what
    assert all(name in problem.fix for name in tiny.files)
    assert str(problem).endswith("and put them into this folder.")
    assert "\n" not in str(problem)
    assert list(raw_folder("tiny").iterdir()) == []


def test_a_silent_mirror_is_given_up(mirrored, mirrors, monkeypatch):
    # The package's name "fetch" is the function, which hides the module.
    monkeypatch.setattr(sys.modules["assay.data.registry.fetch"], "TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        fetch_entry(dataclasses.replace(mirrored.entry, mirrors=(url, mirrors[1].url)))
    assert [name for name, _, _ in mirrors[1].asked] == list(mirrored.files)


def test_a_full_disk_is_told(mirrored, monkeypatch):
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(DiskFull, match="no space is left"):
        fetch_entry(mirrored.entry)
    assert not (raw_folder("tiny") / IMAGES).exists()


def test_bundled_data_need_no_fetching_and_unknown_names_are_refused():
    assert fetch("digits") == []
    with pytest.raises(SpecError, match=r"data\.name"):
        fetch("minst")
