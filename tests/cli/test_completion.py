"""What the Tab key offers, as click's own completion asks for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from assay.cli.main import commands

from ..stored import put_study


@pytest.fixture
def store(tmp_path: Path) -> Path:
    put_study(tmp_path / "store", {"plain": (0.9, 0.8), "with batchnorm": (0.9, 0.8)})
    return tmp_path / "store"


def offered(*arguments: str) -> list[str]:
    *before, last = arguments
    complete = ShellComplete(commands, {}, "assay", "_ASSAY_COMPLETE")
    return [item.value for item in complete.get_completions(list(before), last)]


def test_commands_and_studies(store: Path) -> None:
    assert offered("comp") == ["compare"]
    assert offered("status", "--store", str(store), "") == ["small"]
    assert offered("status", "--store", str(store), "x") == []


def test_study_files_and_shipped_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("first-own.toml").write_text("")
    found = offered("run", "first-")
    assert found[0] == "first-own.toml"
    assert "first-look" in found


def test_arms_in_quotes_where_they_need_them(store: Path) -> None:
    place = ("--store", str(store))
    assert offered("compare", *place, "small", "") == ["plain", "'with batchnorm'"]
    assert offered("runs", *place, "small", "--arm", "pl") == ["plain"]
    assert offered("reveal", *place, "small", "--retrain", "wi") == ["'with batchnorm'"]


def test_pictures_between_commas() -> None:
    assert offered("explain", "--only", "gradc") == ["gradcam"]
    assert offered("explain", "--only", "kernels,conf") == ["kernels,confusion", "kernels,confidence"]


def test_data_sets() -> None:
    assert "fashion_mnist" in offered("data", "fetch", "fash")


@pytest.mark.parametrize(
    "arguments", [("status", "--store", "/nowhere", ""), ("compare", "--store", "/nowhere", "x", "")]
)
def test_where_nothing_is_known_nothing_is_said(arguments: tuple[str, ...]) -> None:
    assert offered(*arguments) == []


def test_a_shell_gets_its_words(tmp_path: Path) -> None:
    code = "import sys; sys.argv = ['assay']; from assay.cli import main; main()"

    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), "HOME": str(tmp_path)}
    asked = {"_ASSAY_COMPLETE": "zsh_complete", "COMP_WORDS": "assay comp", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**environment, **asked}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[:2] == ["plain", "compare"]
