"""What a user of Python sees: names, help, completion, types."""

from __future__ import annotations

import ast
import inspect
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import assay


def test_every_name_is_there_and_documented() -> None:
    assert sorted(assay.__all__) == assay.__all__
    assert set(assay.__all__) <= set(dir(assay))
    for name in assay.__all__:
        assert inspect.getdoc(getattr(assay, name)), name
    shown = {name for name in dir(assay) if not name.startswith("_")}
    assert shown == set(assay.__all__)  # no module or helper among what tab completion offers


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Clasifier'"):
        assay.Clasifier  # noqa: B018
    assert not hasattr(assay, "__wrapped__")


def test_help_begins_with_what_there_is_and_leaves_pydantic_out() -> None:
    text = pydoc.render_doc(assay, renderer=pydoc.plaintext)
    assert text.index("From a study to an answer") < 400
    assert all(name in text for name in assay.__all__)
    assert "model_json_schema" not in text
    assert len(text) < 320_000
    assert "epochs: Passes over the training split" in pydoc.render_doc(assay.Training, renderer=pydoc.plaintext)


def test_completion_knows_the_keywords() -> None:
    assert {"epochs", "optimizer", "schedule", "loss"} <= set(inspect.signature(assay.Training).parameters)
    assert {"data", "network", "factors", "training", "seeds"} <= set(inspect.signature(assay.Study).parameters)
    training = assay.Training()
    names = {name for name in dir(training) if not name.startswith("_")}
    assert {"epochs", "optimizer"} <= names
    assert not {"dict", "json", "parse_obj", "model_fields"} & names
    assert training.model_dump()["epochs"] == 10  # left out of the list, and still there


def test_type_checkers_find_the_types() -> None:
    assert (Path(assay.__file__).parent / "py.typed").exists()


def test_type_checkers_see_each_name_where_it_comes_from() -> None:
    tree = ast.parse(Path(assay.__file__).read_text())
    seen = {
        (f".{node.module}", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    assert seen == {(home, name) for home, names in assay._HOMES.items() for name in names}


def test_star_import_brings_what_is_listed() -> None:
    code = "from assay import *; import assay; print(all(name in globals() for name in assay.__all__))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"
