"""The API reference: every public name has an example that runs, and whatever it has is documented and listed once."""

from __future__ import annotations

import dataclasses
import doctest
import functools
import inspect
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from pydantic import BaseModel

import assay
from assay.runner.progress import Silent
from assay.spec.files import json_schema

os.environ.setdefault("KERAS_BACKEND", "torch")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on torch
PAGES = Path(__file__).parent.parent / "docs" / "reference" / "python"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MOST_SKIPPED = 5
CLASSES = [name for name in assay.__all__ if inspect.isclass(getattr(assay, name))]
KINDS = (property, functools.cached_property, classmethod, staticmethod)


def examples_of(name: str) -> list[doctest.DocTest]:
    """The examples of a public name, those of a class's methods and properties included."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    thing = getattr(assay, name)
    # The module is given by hand: a name is documented in assay and defined elsewhere.
    found = finder.find(thing, name, module=inspect.getmodule(thing), globs={"assay": assay})
    return [test for test in found if test.examples]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A folder with a store after ``assay run first-verdict``, which examples follow."""
    folder = tmp_path_factory.mktemp("reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared_cache))
        assay.run("first-verdict", store=folder / "assay-store", progress=Silent())
    return folder


@pytest.fixture
def place(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder, but for a copy of that store."""
    folder = tmp_path / "here"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ASSAY_STORE")
    yield folder
    plt.close("all")


@pytest.mark.parametrize("name", assay.__all__)
def test_examples_run(name: str, place: Path, prepared: Path) -> None:
    tests = examples_of(name)
    assert any(test.name == name for test in tests), f"{name} has no example of its own"
    report: list[str] = []
    for test in tests:
        if {"reveal", "compare"} & {test.name.rpartition(".")[2]}:  # what is shown is written down in the store
            shutil.rmtree(place / "assay-store")
            shutil.copytree(prepared / "assay-store", place / "assay-store")
        doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert not report, "".join(report)


def test_few_examples_are_skipped() -> None:
    lines = [
        example for name in assay.__all__ for test in examples_of(name) for example in test.examples
        if doctest.SKIP in example.options
    ]  # fmt: skip
    assert len(lines) <= MOST_SKIPPED


def members_of(name: str) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a public class that Assay itself defines."""
    for owner in getattr(assay, name).__mro__:
        if not owner.__module__.startswith("assay."):
            continue
        for member, value in vars(owner).items():
            is_own = inspect.isfunction(value) or isinstance(value, KINDS)
            if not member.startswith("_") and is_own:
                yield f"{name}.{member}", value


@pytest.mark.parametrize("name", CLASSES)
def test_methods_and_properties_are_documented(name: str) -> None:
    for member, value in members_of(name):
        text = inspect.getdoc(value)
        assert text, member
        function = inspect.unwrap(value.__func__ if isinstance(value, classmethod | staticmethod) else value)
        if inspect.isfunction(function):
            missing = set(inspect.signature(function).parameters) - {"self", "cls"} - described(text)
            assert not missing, f"{member} does not describe {missing}"


def described(text: str) -> set[str]:
    """The names under ``Args:`` and ``Attributes:`` of a docstring."""
    sections = re.findall(r"^(?:Args|Attributes):\n((?: {4}.*\n?|\n)+)", f"{text}\n", re.MULTILINE)
    return {name for section in sections for name in re.findall(r"^ {4}(\w+):", section, re.MULTILINE)}


def parameters_of(name: str) -> set[str]:
    thing: Callable[..., Any] = getattr(assay, name)
    if inspect.isclass(thing) and issubclass(thing, BaseModel):
        return set(thing.model_fields)
    if dataclasses.is_dataclass(thing):
        return {field.name for field in dataclasses.fields(thing)}
    return set(inspect.signature(thing).parameters)


@pytest.mark.parametrize("name", assay.__all__)
def test_every_parameter_is_described(name: str) -> None:
    assert parameters_of(name) - described(inspect.getdoc(getattr(assay, name)) or "") == set()


def test_every_name_is_on_one_page() -> None:
    listed = [
        name
        for page in PAGES.glob("*.md")
        for name in re.findall(r"^\.\. auto(?:class|function):: (\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert sorted(listed) == assay.__all__


def test_the_overview_lists_every_name() -> None:
    rows = re.findall(r"^\| (\[`.*?) \|", (PAGES / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == assay.__all__


def test_the_schema_of_study_files_describes_without_python() -> None:
    text = json.dumps(json_schema())
    assert "Passes over the training split" in text
    assert ">>>" not in text


def test_a_run_is_shown_in_a_line(prepared: Path) -> None:
    run = assay.find("first-verdict", store=prepared / "assay-store")
    assert repr(run) == "Run('first-verdict', 'filters=16', 'seed 0')"
