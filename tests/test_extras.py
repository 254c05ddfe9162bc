"""Packages that are not installed: each is named with its extra where it is wanted, and nothing else needs it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import assay
from assay.data import prepare
from assay.errors import NotInstalled
from assay.extras import EXTRAS, has, needed, remedy

from .helpers import small_study
from .stored import put_study

ROOT = Path(__file__).parent.parent
SOURCE = Path(assay.__file__).parent
OPTIONAL = sorted({module for modules in EXTRAS.values() for module in modules})
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"] if (ROOT / "pyproject.toml").exists() else {}
# What distributions are imported as, where that is another name.
IMPORTED = {
    "pillow": "PIL", "scikit-learn": "sklearn", "huggingface-hub": "huggingface_hub", "tomli-w": "tomli_w",
    "mlflow-skinny": "mlflow", "ai-edge-litert": "ai_edge_litert",
}  # fmt: skip


def imported(requirement: str) -> str:
    name = re.split(r"[\[<>=~! ]", requirement)[0]
    return IMPORTED.get(name, name)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Takes packages away from this process."""

    def take(*names: str) -> None:
        for name in names:
            for loaded in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
                monkeypatch.delitem(sys.modules, loaded)
            monkeypatch.setitem(sys.modules, name, None)

    return take


def test_a_missing_package_is_named_with_its_extra(without: Callable[..., None]) -> None:
    without("pyarrow")
    with pytest.raises(NotInstalled) as caught:
        needed("pyarrow.parquet", "Parquet files")
    assert str(caught.value) == (
        'Parquet files need pyarrow, which is not installed; run pip install "assay[parquet]".'
    )
    assert not has("pyarrow")
    assert has("numpy")
    assert needed("numpy", "Arrays") is np


def test_a_package_that_breaks_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cmaes.py").write_text("import a_package_that_is_not_there")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cmaes", raising=False)
    with pytest.raises(NotInstalled, match=r"cmaes, which cannot be imported .*a_package_that_is_not_there"):
        needed("cmaes", "Searches")


def test_pyproject_and_the_table_of_extras_agree() -> None:
    optional = PROJECT["optional-dependencies"]
    for extra, modules in EXTRAS.items():
        assert {imported(one) for one in optional[extra]} >= set(modules), extra
        assert extra in optional["all"][0]
    assert set(optional) == {*EXTRAS, "all", "test", "dev", "docs"}
    required = {imported(one) for one in PROJECT["dependencies"]}
    assert not required & set(OPTIONAL)
    assert remedy("h5py") == 'run pip install "assay[hdf5]"'


def test_no_module_of_ours_imports_an_optional_package_by_itself() -> None:
    """Only where it is used, or where types are read; modules that belong to one extra may."""
    theirs = ("tracking/", "judging/", "runner/ray/", "runner/artifacts.py", "report/notebook.py", "data/hub.py",
              "capturing/", "export/", "convert/", "explain/figures/", "report/paper/",
              "results/paper_figures.py", "search/sampler.py")  # fmt: skip
    offenders = []
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        text = path.read_text()
        if not any(f"import {name}" in text or f"from {name}" in text for name in OPTIONAL):
            continue
        tree = ast.parse(text)
        deep = () if place.startswith(theirs) else tuple(ast.walk(tree))
        types_only = [node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
        typed = {id(child) for node in types_only for child in ast.walk(node)}
        for node in (*tree.body, *deep):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            found = {name.partition(".")[0] for name in names} & set(OPTIONAL)
            if found and id(node) not in typed and place != "convert/hdf5_check.py":  # a program of its own
                offenders.append(f"{place}:{node.lineno} imports {', '.join(sorted(found))}")
    assert sorted(set(offenders)) == []


STUDY = """
[data]
name = "digits"
[network]
layers = ["flatten", "dense {units} relu", "dense classes softmax"]
[factors]
units = [2, 4]
[training]
epochs = 1
[seeds]
count = 2
"""
COMMANDS = [
    ["describe", "small.toml"], ["run", "small.toml", "--workers", "1"], ["compare", "small"], ["diagnose", "small"],
    ["runs", "small", "--csv"], ["report", "small", "--markdown"], ["doctor"],
    ["predict", "small", "digits.csv", "--arm", "best"],
]  # fmt: skip
BARE = """
from assay.cli import main
for words in {commands!r}:
    try:
        main(words)
    except SystemExit as ended:
        assert not ended.code, (words, ended.code)
"""


def check_main_job(folder: Path, printed: str) -> None:
    report = (folder / "assay-store" / "reports" / "small.html").read_text()
    assert "need matplotlib, which is not installed: run pip install &#34;assay[pictures]&#34;" in report
    assert "not installed: pictures, search" in printed


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(STUDY)
    np.savetxt(tmp_path / "digits.csv", np.zeros((3, 64), int), fmt="%d", delimiter=",")
    return tmp_path


def test_the_main_job_needs_no_extra(
    without: Callable[..., None], study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study from its file to its report, in a process that has none of them any more."""
    from assay.cli import main

    without(*OPTIONAL, "captum")
    monkeypatch.chdir(study)
    monkeypatch.delenv("ASSAY_STORE", raising=False)
    for words in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert not ended.value.code, (words, capsys.readouterr().err)
    check_main_job(study, capsys.readouterr().out)


@pytest.mark.slow
def test_a_process_and_its_workers_that_never_had_one_do_the_main_job(study: Path) -> None:
    missing = [*OPTIONAL, "captum"]
    (study / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({missing!r}))")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(study), os.environ.get("PYTHONPATH", "")])}
    code = BARE.format(commands=COMMANDS)
    done = subprocess.run([sys.executable, "-c", code], cwd=study, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    check_main_job(study, done.stdout)


def test_pictures_name_theirs(without: Callable[..., None], tmp_path: Path) -> None:
    result = assay.run(small_study(network={"layers": ["flatten", "dropout {rate}", "dense classes softmax"]},
                                   training={"epochs": 1}), store=tmp_path)  # fmt: skip
    without("matplotlib")
    with pytest.raises(NotInstalled, match=r'Pictures need matplotlib, .*"assay\[pictures\]"'):
        result.explain(only="confusion")


def test_searches_name_theirs_before_anything_trains(without: Callable[..., None], tmp_path: Path) -> None:
    without("optuna")
    search = small_study(
        factors={},
        network={"layers": ["flatten", "dense {units} relu", "dense classes softmax"]},
        search={"trials": 2, "space": {"units": [2, 4]}},
    )
    with pytest.raises(NotInstalled, match=r'Searches need optuna, .*"assay\[search\]"'):
        assay.run(search, store=tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "package", "extra"), [("x.parquet", "pyarrow", "parquet"), ("x.h5", "h5py", "hdf5")])
def test_files_name_theirs(without: Callable[..., None], tmp_path: Path, name: str, package: str, extra: str) -> None:
    if package == "h5py":
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / name, "w") as file:
            file["x"], file["y"] = np.zeros((20, 8, 8)), np.arange(20) % 2
    else:
        import pandas as pd

        pd.DataFrame({"image": [b""], "label": [0]}).to_parquet(tmp_path / name)
    without(package)
    with pytest.raises(NotInstalled, match=rf'need {package}, .*"assay\[{extra}\]"'):
        prepare(assay.Data(path=str(tmp_path / name)))


def test_a_store_is_read_without_them(without: Callable[..., None], tmp_path: Path) -> None:
    """Reading a store needs neither Optuna nor matplotlib."""
    put_study(tmp_path, {"a": (0.9,) * 6, "b": (0.8,) * 6})
    without("optuna", "matplotlib")
    assert "a" in assay.result("small", store=tmp_path).compare().contrasts[0].sentence
