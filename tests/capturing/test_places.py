"""Where user's code is: a script's line, a cell of a notebook that is run apart, a cell of IPython's."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from assay.capturing.places import place

CODE = "\ndef inner():\n    return place()\nseen = inner()\n"


def run(filename: str) -> str:
    values: dict[str, Any] = {"place": place, "__name__": "__main__"}
    exec(compile(CODE, filename, "exec"), values)
    return str(values["seen"])


def test_a_script_has_lines() -> None:
    assert run("/home/somebody/train.py") == "train.py:3"


def test_a_notebook_that_is_run_apart_has_cells() -> None:
    assert run("<cell 4>") == "cell 4, line 3"


@pytest.mark.parametrize("filename", ["/tmp/ipykernel_71/2034.py", "<ipython-input-7-abc>"])
def test_a_live_notebook_has_the_number_of_its_cell(filename: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("IPython")
    compiler = SimpleNamespace(_filename_map={filename: 7})
    module.get_ipython = lambda: SimpleNamespace(compile=compiler)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", module)
    assert run(filename) == "cell [7], line 3"
    compiler._filename_map.clear()
    assert run(filename) == "line 3 of a cell"
