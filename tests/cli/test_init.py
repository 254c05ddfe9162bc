"""assay init: three questions, a commented study."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from sklearn.datasets import load_digits

import assay
from assay.api import start_study
from assay.cli import init
from assay.cli.data_show import show_command
from assay.cli.main import COMMANDS, main
from assay.errors import DataError, SpecError
from assay.spec import Study
from assay.starting import TEMPLATES


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pictures(folder: Path) -> Path:
    """40 pictures of each of three digits, in a folder for each."""
    images, labels = load_digits(return_X_y=True)
    for digit in range(3):
        (folder / "pictures" / f"digit {digit}").mkdir(parents=True)
        for number, image in enumerate(images[labels == digit][:40]):
            picture = Image.fromarray((image.reshape(8, 8) * 15).astype(np.uint8))
            picture.save(folder / "pictures" / f"digit {digit}" / f"{number}.png")
    return folder / "pictures"


def short(study: Study) -> Study:
    """The same in seconds: a few epochs, one seed; of a search, two trials; a base without files."""
    values = study.model_dump(exclude_none=True)
    values["training"] = {**values["training"], "epochs": 1}
    values["seeds"] = {"count": 1}
    if study.search is not None:
        values["search"] = {**values["search"], "trials": 2, "finalists": 2, "halving": None}
    if "how" in study.factors:
        values["factors"]["how"] = {
            name: {**level, "weights": "random"} for name, level in values["factors"]["how"].items()
        }
        values["network"]["base"]["until"] = "block1"
        values["network"]["base"]["size"] = 20
    return Study.of(values)


@pytest.mark.parametrize("template", list(TEMPLATES))
def test_every_template_is_described_and_runs(template: str, pictures: Path) -> None:
    data = "pictures" if template == "own-images" else "digits"
    arguments = ["--template", template, "--data", data, "--name", "first"]
    done = CliRunner().invoke(init.command, arguments, standalone_mode=False)
    assert done.exception is None
    assert "first.toml is written" in done.output
    text = Path("first.toml").read_text()
    assert "$" not in text
    assert text.count("#") > 6
    with pytest.raises(SystemExit) as ended:
        main(["describe", "first.toml"])
    assert ended.value.code == 0
    study = assay.load("first.toml")
    assert (study.name, study.question) == ("first", TEMPLATES[template].question)
    assert len(study.expand()) == {"ablation": 4, "grid": 4, "search": 0, "transfer": 3, "own-images": 2}[template]
    result = assay.run(short(study), store="store", workers=1)
    assert {run.state for run in result.runs} == {"finished"}
    assert result.runs


@pytest.mark.parametrize("name", ["mnist", "cifar10", "usps", "emnist_letters"])
@pytest.mark.parametrize("template", [name for name in TEMPLATES if name != "own-images"])
def test_networks_fit_every_known_image(template: str, name: str, folder: Path) -> None:
    study = assay.load(start_study(template, name, "fits"))
    assert assay.describe(study)


def test_with_json_it_says_what_it_wrote(folder: Path) -> None:
    arguments = ["--template", "grid", "--data", "digits", "--json"]
    done = CliRunner().invoke(init.command, arguments, standalone_mode=False)
    assert json.loads(done.output) == {"file": "grid.toml", "template": "grid", "data": "digits", "name": "grid"}
    assert assay.load("grid.toml").factors.keys() == {"width", "dropout"}


def test_a_file_is_never_overwritten(folder: Path) -> None:
    Path("mine.toml").write_text("precious")
    with pytest.raises(SpecError, match=r"mine\.toml: this file is there already; give another name"):
        start_study("grid", "digits", "mine")
    assert Path("mine.toml").read_text() == "precious"
    assert [path.name for path in folder.iterdir()] == ["mine.toml"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "digits"], "this is no terminal to ask in, and --template is left open"),
        ([], "--template and --data are left open"),
        (["--template", "gird", "--data", "digits"], 'there is no template "gird"; did you mean "grid"'),
        (["--template", "grid", "--data", "mnits"], '"mnits" is no known data set and no file or folder; did you mean'),
        (["--template", "own-images", "--data", "digits"], "give a path as data, or choose another template"),
        (["--template", "grid", "--data", "digits", "--name", "a b"], '"a b" is no name for a study'),
        (["--template", "grid", "--data", "digits", "--name", "../up"], '"../up" is no name for a study'),
    ],
)
def test_bad_answers_are_one_sentence_and_write_nothing(arguments: list[str], sentence: str, folder: Path) -> None:
    with pytest.raises(SpecError) as caught:
        CliRunner().invoke(init.command, arguments, standalone_mode=False, catch_exceptions=False)
    assert sentence in str(caught.value)
    assert list(folder.iterdir()) == []


def test_images_of_several_sizes_get_one(folder: Path) -> None:
    for name, side in (("a", 200), ("b", 120)):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(30):
            pixels = np.random.default_rng(number).integers(0, 256, (side, side + number, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number}.png")
    study = assay.load(start_study("own-images", "photos", "photos"))
    assert study.data.reading.size == (64, 64)
    assert study.data.test == 0.2
    (folder / "photos" / "a" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError):
        start_study("own-images", "photos", "again")
    assert not Path("again.toml").exists()


def test_it_asks_three_questions_in_a_terminal(folder: Path) -> None:
    Path("mine.toml").write_text("precious")
    (folder / "empty").mkdir()
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "assay", "init"], stdin=child, stdout=child, stderr=child, cwd=folder, close_fds=True
    )
    os.close(child)
    shown = ""

    def wait_for(text: str) -> None:
        nonlocal shown
        shown, deadline = "", time.monotonic() + 60
        while text not in shown:
            assert time.monotonic() < deadline, shown
            try:
                shown += os.read(parent, 4096).decode()
            except OSError:
                raise AssertionError(shown) from None

    def answer(text: str) -> None:
        os.write(parent, f"{text}\n".encode())

    wait_for("Its number or name [1]:")
    assert all(template.title in shown for template in TEMPLATES.values())
    answer("gird")
    wait_for('did you mean "grid"')
    answer("2")
    wait_for("Name or path [digits]:")
    answer("empty")
    wait_for("Name or path [digits]:")
    assert "empty" in shown
    answer("")
    wait_for("Name [grid]:")
    answer("mine")
    wait_for("mine.toml: this file is there already")
    answer("")
    wait_for("assay run grid.toml")
    assert process.wait(30) == 0
    os.close(parent)
    assert Path("mine.toml").read_text() == "precious"
    assert assay.load("grid.toml").data.name == "digits"


def test_the_options_name_every_template() -> None:
    assert tuple(TEMPLATES) == init._NAMES
    assert "init" in COMMANDS


@pytest.mark.parametrize(
    ("template", "momentum"),
    [
        ("ablation", "0.99"),  # 1,294 digits in steps of 32, 40 epochs: 1,640 steps
        ("grid", "0.99"),
        ("search", "0.8"),  # a first rung has 1 epoch: 41 steps
        ("transfer", "0.9"),  # 1,000 digits in steps of 64, 10 epochs: 160 steps
        ("own-images", "0.9"),  # 77 pictures in steps of 32, 40 epochs: 120 steps
    ],
)
def test_written_studies_leave_no_start_values_in_moving_statistics(
    template: str, momentum: str, pictures: Path
) -> None:
    path = start_study(template, "pictures" if template == "own-images" else "digits", "first")
    text = path.read_text()
    assert ("momentum=" in text) == ("# momentum=" in text) == (momentum != "0.99")
    if momentum != "0.99":
        assert text.count(f'"batchnorm momentum={momentum}"') == text.count('"batchnorm')
    assert [note for note in assay.remarks(assay.load(path)) if "atch normalization" in note] == []


def test_a_search_knows_how_few_steps_a_first_rung_has(folder: Path) -> None:
    text = start_study("search", "digits", "first").read_text()
    assert (
        "# momentum=0.8: with the default, 0.99, batch normalization would keep 66 % of its start values after the\n"
        "# 41 steps of a first rung, and validation scores could be too low.\n[network]"
    ) in text


def pictures_of_noise_and_a_square(folder: Path) -> Path:
    """100 pictures of 16 x 16 in each of three classes: a bright square that lies left, in the middle or right."""
    rng = np.random.default_rng(0)
    for place, name in enumerate(("left", "middle", "right")):
        (folder / "squares" / name).mkdir(parents=True)
        for number in range(100):
            pixels = rng.integers(0, 130, (16, 16))
            row, column = rng.integers(0, 11), 5 * place + rng.integers(0, 2)
            pixels[row : row + 5, column : column + 5] += 90
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "squares" / name / f"{number}.png")
    return folder / "squares"


def least_accuracy(study: Study, folder: Path) -> float:
    """Of one run of each arm."""
    result = assay.run(study.with_seeds(1), store=folder, workers=1)
    assert {run.state for run in result.runs} == {"finished"}
    return float(result.frame()["validation_accuracy"].min())


def test_studies_of_300_images_of_three_classes_train_to_more_than_chance(folder: Path) -> None:
    pictures_of_noise_and_a_square(folder)
    assert least_accuracy(assay.load(start_study("own-images", "squares", "first")), folder / "store") > 0.8
    done = CliRunner().invoke(show_command, ["squares", "--write", "second.toml"], standalone_mode=False)
    assert done.exception is None
    study = assay.load("second.toml")
    assert "batchnorm momentum=0.9" in Path("second.toml").read_text()
    assert [note for note in assay.remarks(study) if "atch normalization" in note] == []
    assert least_accuracy(study, folder / "store") > 0.8


def test_what_init_cannot_read_is_left_to_the_command_that_can(folder: Path) -> None:
    for name, side in (("a", 40), ("b", 50)):
        (folder / "leaves" / name).mkdir(parents=True)
        for number in range(6):
            pixels = np.random.default_rng(number).integers(0, 256, (side, 50, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "leaves" / name / f"{number}.png")
    (folder / "leaves" / "a" / "6.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        start_study("own-images", "leaves", "first")
    command = "assay data show leaves --size 40x50 --skip-bad --write study.toml"
    assert f"`{command}`" in str(caught.value)
    done = CliRunner().invoke(show_command, shlex.split(command)[3:], standalone_mode=False)
    assert done.exception is None
    assert assay.load("study.toml").data.reading.skip_bad
    (folder / "leaves" / "c").mkdir()
    with pytest.raises(DataError) as caught:  # no command can read these
        start_study("own-images", "leaves", "first")
    assert "--write" not in str(caught.value)
