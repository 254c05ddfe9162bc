"""``assay data`` on files of one's own: groups, test splits, and nothing overwritten."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
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


@pytest.fixture
def striped(tmp_path: Path) -> Path:
    """Folders of two kinds of stripes, two of whose images lie in the other's folder."""
    for number in range(120):
        image = RNG.integers(0, 60, (8, 8), dtype=np.uint8)
        image[4 * (number % 2) : 4 * (number % 2) + 4] += 150
        kind = ("up", "down")[(number + (number in (7, 50))) % 2]
        (tmp_path / "stripes" / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "stripes" / kind / f"{number}.png")
    return tmp_path / "stripes"


def test_labels_in_doubt_are_files_in_a_table_and_in_json(run, striped, tmp_path):
    code, _, errors = run("data", "show", striped, "--csv", tmp_path / "doubts.csv")
    assert (code, errors) == (0, "")
    with open(tmp_path / "doubts.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} >= {"down/50.png", "up/7.png"}
    assert all(Path(row["file"]) == striped / row["image"] for row in rows)
    assert all(row["corrected"] == "" and row["why"] for row in rows)
    code, output, _ = run("data", "show", striped, "--json")
    listed = json.loads(output)["labels_in_doubt"]
    assert [one["image"] for one in listed] == [row["image"] for row in rows]
    code, _, errors = run("data", "show", striped, "--csv", tmp_path / "doubts.csv")
    assert code == 2
    assert "it is there already" in errors


def test_the_page_holds_every_label_in_doubt_with_a_thumbnail(run, striped, tmp_path):
    code, _, errors = run("data", "show", striped, "--html", tmp_path / "look.html")
    assert (code, errors) == (0, "")
    page = BeautifulSoup((tmp_path / "look.html").read_text(), "html.parser")
    items = page.select(".doubts > li")
    assert {item["data-image"] for item in items} >= {"down/50.png", "up/7.png"}
    for item in items:
        assert item.img["src"].startswith("data:image/png;base64,")
        assert {item["data-label"], item.button["data-class"]} == {"up", "down"}


def test_predict_leaves_out_what_is_no_image_and_ends_with_its_own_code(run, striped, tmp_path):
    study = tmp_path / "stripes.toml"
    study.write_text(
        '[data]\npath = "stripes"\n[network]\nlayers = ["flatten", "dense classes softmax"]\n'
        "[training]\nepochs = 1\n[seeds]\ncount = 1\n"
    )
    assert run("run", study)[0] == 0
    (tmp_path / "new").mkdir()
    for name in ("a.png", "c.png"):
        shutil.copy(next(striped.rglob("*.png")), tmp_path / "new" / name)
    (tmp_path / "new" / "b.png").write_bytes(b"no image")
    code, output, errors = run("predict", "stripes", tmp_path / "new")
    assert code == 1
    assert [row.split(",")[0] for row in output.splitlines()] == ["Id", "a.png", "c.png"]
    assert "Left out: b.png (it is no image that Pillow knows)." in errors
    code, output, _ = run("predict", "stripes", tmp_path / "new", "--json", "-o", tmp_path / "answers.csv")
    assert code == 1
    assert json.loads(output)["skipped"] == [{"file": "b.png", "reason": "it is no image that Pillow knows"}]
    code, _, errors = run("predict", "stripes", tmp_path / "new" / "b.png")
    assert code == 2
    assert "none of it is an image: b.png (it is no image that Pillow knows)" in errors
    assert run("predict", "stripes", tmp_path / "new" / "a.png")[0] == 0
