"""The registry: names, hashes, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from assay.data import entry, known
from assay.errors import SpecError


def test_known_names():
    emnist = [f"emnist_{part}" for part in ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")]
    others = ["qmnist", "usps", "svhn", "cifar10", "cifar100"]
    assert known() == ("digits", "mnist", "fashion_mnist", "kmnist", *emnist, *others)


@pytest.mark.parametrize("name", known())
def test_entries_are_consistent(name):
    found = entry(name)
    assert found.name == found.info.name == name
    assert found.info.shape == (found.height, found.width, found.channels)
    assert found.info.num_classes == len(set(found.classes)) >= 10
    assert all(len(bytes.fromhex(sha256)) == 32 for sha256 in found.sha256)
    assert bool(found.packed) != bool(found.sha256)
    for file in found.packed:
        kind, digits = file.packed.split(":")
        assert len(bytes.fromhex(digits)) == {"sha256": 32, "md5": 16}[kind]
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in found.mirrors)
    assert found.is_bundled == (name == "digits")
    assert found.citation.startswith("@")
    assert found.citation.count("{") == found.citation.count("}")
    assert found.licence
    assert found.test_split_note
    assert "verified by" in found.verified_by


def test_classes_are_as_many_as_the_authors_say():
    counts = {name: len(entry(name).classes) for name in known()}
    assert {name for name, count in counts.items() if count != 10} == {
        "emnist_balanced", "emnist_byclass", "emnist_bymerge", "emnist_letters", "cifar100",
    }  # fmt: skip
    assert [counts[f"emnist_{part}"] for part in ("balanced", "byclass", "bymerge", "letters")] == [47, 62, 47, 26]
    assert counts["cifar100"] == 100
    assert list(entry("cifar100").classes) == sorted(entry("cifar100").classes)


def test_content_covers_every_file():
    assert entry("mnist").content == "c65580678af93f1ea48c2c0d01d543ec89307c6b8a0eb7ca542d7c18c5f4c681"
    assert entry("fashion_mnist").content == "d1fd84a877f3b78fa9a171b3de73f93e7b6f69ed94bada3feae9d96821401f5c"
    assert entry("digits").content == "25d7dca5ecb6a6f42542effdb032d7fc1b86bab5f5ee07d259a8e1b91083c6c8"


def test_a_mistyped_name_is_answered_with_the_nearest():
    with pytest.raises(SpecError) as caught:
        entry("fashionmnist")
    (problem,) = caught.value.problems
    assert problem.key == "data.name"
    assert str(problem).startswith('data.name: "fashionmnist" is no known data set; did you mean "fashion_mnist"')


def test_importing_brings_no_heavy_library():
    code = "import sys, assay.data; print(*sorted({'torch', 'sklearn', 'pandas', 'PIL', 'asyncio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
