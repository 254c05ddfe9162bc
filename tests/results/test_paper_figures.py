"""Figures of a stored study for papers, from Python and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import assay
from assay.cli import main
from assay.errors import SpecError

from ..helpers import small_study


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(shared_cache))
        assay.run(small_study(), store=folder)
    return folder


def test_every_figure_is_named_and_written(store: Path, tmp_path: Path) -> None:
    result = assay.result("small", store=store)
    names = result.figures()
    assert {"scores", "curves-loss-train", "class-counts", "confusion", "losses", "calibration"} <= set(names)
    figure = result.figure("confusion", tmp_path / "confusion.pdf", width="84mm")
    assert figure.get_size_inches()[0] == pytest.approx(84 / 25.4)
    assert (tmp_path / "confusion.pdf").read_bytes().startswith(b"%PDF")
    assert b"/Type3" not in (tmp_path / "confusion.pdf").read_bytes()
    with pytest.raises(SpecError, match=r'the report of "small" has no figure "skores"; did you mean "?scores'):
        result.figure("skores")
    with pytest.raises(SpecError, match=r"give a file that ends in \.pdf, \.svg, \.png"):
        result.figure("scores", tmp_path / "scores.jpg")


def test_the_command_lists_and_writes(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments), "--store", str(store)])
        return int(ended.value.code or 0), *capsys.readouterr()

    code, output, _ = run("figure", "small", "--json")
    assert code == 0
    assert [row["name"] for row in json.loads(output)] == list(assay.result("small", store=store).figures())
    code, output, _ = run("figure", "small", "scores", "time", "--format", "svg", "-o", tmp_path / "figures")
    assert code == 0
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"small-scores.svg", "small-time.svg"}
    assert "One dot is one seed." in output
    for wrong, message in (
        (["nothing"], 'has no figure "nothing"'),
        (["scores", "--width", "wide"], 'the width "wide" is none from 1.5 to 30 inches'),
        (["scores", "time", "-o", tmp_path / "one.pdf"], "is one file, and 2 figures were asked for"),
        (["scores", "-o", tmp_path / "one.svg"], "does not end in .pdf; add --format svg"),
    ):
        code, _, errors = run("figure", "small", *wrong)
        assert code == 2
        assert message in errors
