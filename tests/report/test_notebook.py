from __future__ import annotations

import json
import os
import sys

import pytest

from assay.errors import SpecError
from assay.report import write_notebook
from assay.report.notebook import notebook_cells

A, B = (0.98, 0.982, 0.981), (0.983, 0.986, 0.983)


def test_every_cell_runs_on_the_public_functions(make_study, monkeypatch):
    """What ``assay.result`` gives for a made-up record stands in for a store."""
    import assay
    from assay.analysis import Comparison, Diagnoses

    study = make_study({"a": A, "b": B}, question='Is "b"\nbetter?')

    class Made(assay.Result):
        @property
        def record(self):
            return study

        brief = record

    asked = []

    def result(name, *, store):
        asked.append((name, store))
        return Made(store, name)

    monkeypatch.setattr(assay, "result", result)
    monkeypatch.setattr("assay.results.result.shared_images", lambda record: {})
    cells = notebook_cells(study, "../my store")
    assert cells[0] == ("markdown", cells[0][1])
    assert cells[0][1].startswith('# Is "b" better?\n')
    names: dict[str, object] = {}
    values = []
    for kind, text in cells:
        if kind == "code":
            *before, last = text.splitlines()
            exec("\n".join(before), names)
            values.append(eval(last, names))
    assert asked == [("kernels", "../my store")]
    kinds = [type(value) for value in values]
    assert Comparison in kinds
    assert Diagnoses in kinds
    assert sum(kind.__name__ == "Figure" for kind in kinds) == 5


def test_one_arm_has_no_cells_that_compare(make_study):
    text = json.dumps(notebook_cells(make_study({"a": A}), "store"))
    assert "compare" not in text
    assert "difference" not in text


def test_without_the_extra_one_sentence_says_what_to_install(make_study, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nbclient", None)
    with pytest.raises(SpecError, match=r'run pip install "assay\[notebook\]"'):
        write_notebook(tmp_path / "n.ipynb", make_study({"a": A}), tmp_path)
    assert os.listdir(tmp_path) == []
