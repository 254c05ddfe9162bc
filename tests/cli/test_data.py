"""``assay data`` on files of one's own: groups, test splits, and nothing overwritten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.cli import main

RNG = np.random.default_rng(3)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Runs the command line in this process: (exit code, output, errors)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        output, errors = capsys.readouterr()
        return int(ended.value.code or 0), output, errors

    return call


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    rows = [f"{at % 2},p{at // 5}," + ",".join(map(str, RNG.integers(0, 256, 16))) for at in range(60)]
    path = tmp_path / "scans.csv"
    path.write_text("\n".join(["label,patient," + ",".join(f"pixel{k}" for k in range(16)), *rows]))
    return path


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--groups", "patient", "--test", "0.25"], "about 25 % of the images, in whole groups"),
        (["--groups", "patient", "--test", "15"], "about 15 images, in whole groups"),
        (["--groups", "patient", "--test", "last 15"], "the last 15 images in the order of the file"),
        (["--groups", "patient", "--test", "last 25%"], "the last 25 % of the images in the order of the file"),
    ],
)
def test_show_says_how_the_test_split_came_about(run, scans, options, told):
    code, output, errors = run("data", "show", scans, *options)
    assert (code, errors) == (0, "")
    assert "45 training images, 15 test images" in output
    assert 'There are 12 groups by "patient", of 5 images each; no split divides one.' in output
    assert told in output


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("digits", ["--groups", "x"], "digits has a test split of its own and no groups; leave --groups out"),
        ("s.toml", ["--test", "0.2"], "s.toml is a study, and says this itself; leave --test out"),
        ("scans.csv", ["--groups", "patients"], 'data.groups: there is no column "patients"; did you mean "patient"?'),
        ("scans.csv", ["--groups", "patient", "--test", "last 12"], "the last images would divide a group"),
    ],
)
def test_show_refuses_what_does_not_go_together(run, scans, name, options, told):
    place = name if name == "digits" else scans.with_name(name)
    code, _, errors = run("data", "show", place, *options)
    assert code == 2
    assert told in errors


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_files_that_are_in_doubt_end_as_bad_input(run, tmp_path, options):
    """Not as a pipe whose reader has gone."""
    for number in range(8):
        folder = tmp_path / "images" / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "images" / "class0" / "broken.png").write_bytes(b"")
    code, output, errors = run("data", "show", tmp_path / "images", *options)
    assert code == 2
    assert "1 of 9 files is no image" in output + errors


def test_make_overwrites_nothing_unless_forced(run, tmp_path):
    how = ["data", "make", "digits", "--format", "npz", "--train", "20", "--test", "10", "-o", tmp_path / "out"]
    assert run(*how)[0] == 0
    before = (tmp_path / "out" / "data.npz").read_bytes()
    code, _, errors = run(*how, "--seed", "1")
    assert code == 2
    assert "it holds data.npz already; give another folder, or replace them with --force" in errors
    assert (tmp_path / "out" / "data.npz").read_bytes() == before
    assert run(*how, "--seed", "1", "--force")[0] == 0
    assert (tmp_path / "out" / "data.npz").read_bytes() != before
