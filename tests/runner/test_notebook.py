"""The live display in a notebook's cell."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import IPython.display
import pytest

import assay
from assay.runner.drive import Outlook
from assay.runner.events import EpochDone, Failed, Finished, Lost, Started
from assay.runner.notebook import Notebook, is_notebook
from assay.runner.progress import Live, Silent
from assay.runner.session import default_progress
from assay.train.epochs import EpochRecord

from ..helpers import small_study


@dataclass
class Cell:
    """What a cell's output was, one after another."""

    shown: list[dict[str, str]] = field(default_factory=list)
    num_outputs: int = 0

    def display(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> Cell:
        assert raw
        assert display_id
        self.num_outputs += 1
        self.shown.append(bundle)
        return self

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(bundle)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    cell = Cell()
    monkeypatch.setattr(IPython.display, "display", cell.display)
    return cell


def epoch(number: int, accuracy: float) -> EpochRecord:
    return EpochRecord(number, 0.5, 0.8, 0.6, accuracy, 0.5, 0.8, 0.001, 2.0)


LABELS = {"a": "rate=0, seed 0", "b": "<b>bold</b>, seed 0", "c": "rate=0, seed 1"}


def test_one_output_is_updated_in_place(cell: Cell) -> None:
    shown = Notebook()
    shown.begin(Outlook("study", 3, 0, LABELS, dict.fromkeys(LABELS, 4), 1))
    shown.follow(Started("a", {}))
    shown.follow(EpochDone("a", epoch(1, 0.75)))
    shown._show()
    running = cell.shown[-1]
    assert "0 of 3 runs done, 1 running, 2 queued" in running["text/plain"]
    assert "about 22 s left" in running["text/plain"]  # eleven epochs of two seconds
    assert "epoch 1/4" in running["text/html"]
    assert "75.00 %" in running["text/html"]
    shown.follow(Finished("a", 8.0, 1, "w", "0", 1))
    shown.follow(Started("b", {}))
    shown.follow(Lost("b", "its worker was killed", is_memory=False))
    shown.follow(Failed("c", "diverged", "the loss was no number", "lower the learning rate"))
    shown.note("a note")
    shown.end()
    last = cell.shown[-1]["text/html"]
    assert cell.num_outputs == 1
    assert len(cell.shown) >= 4
    for text in (
        "rate=0, seed 0: 75.00 % validation accuracy in 8.0 s",
        "&lt;b&gt;bold&lt;/b&gt;, seed 0: its worker was killed; it goes on from its last checkpoint",
        "rate=0, seed 1: diverged: the loss was no number; lower the learning rate",
        "a note",
        "1 failed",
    ):
        assert text in last
    assert "<script" not in last
    assert "<b>" not in last


def test_a_notebook_is_told_from_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def shell(**attributes: Any) -> None:
        module = types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace(**attributes))
        monkeypatch.setitem(sys.modules, "IPython", module)

    shell(kernel=object())
    assert is_notebook()
    assert isinstance(default_progress(), Notebook)
    shell()  # IPython in a terminal
    assert not is_notebook()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert isinstance(default_progress(), Live)
    monkeypatch.delitem(sys.modules, "IPython")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    assert isinstance(default_progress(), Silent)


def test_a_study_is_followed_to_its_end(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.runner.notebook.is_notebook", lambda: True)
    result = assay.run(small_study(seeds={"count": 1}), store=tmp_path, workers=1)
    assert "small: 2 of 2 runs done" in cell.shown[-1]["text/plain"]
    assay.run(small_study(seeds={"count": 1}), store=tmp_path, workers=1)
    assert cell.num_outputs == 2  # nothing is left to train, and that is said, too
    assert "2 of 2 runs done" in cell.shown[-1]["text/plain"]
    html = result._repr_html_()
    report = tmp_path / "reports" / "small.html"
    assert report.as_uri() in html
    assert html.count("<circle") == 2
    written = report.stat().st_mtime
    result._repr_html_()
    assert report.stat().st_mtime == written
