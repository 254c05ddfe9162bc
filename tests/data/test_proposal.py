"""What `assay data show` proposes for files that leave something open is right when it is pasted into a study."""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from assay.cli.data import command
from assay.cli.read_options import read_options
from assay.data import prepare, propose
from assay.data.proposal import data_table, toml_value
from assay.errors import DataError, InputError
from assay.spec import Data, Last, Reading, read_study

RNG = np.random.default_rng(71)


def picture(path: Path, height: int = 12, width: int = 12) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (height, width), dtype=np.uint8)).save(path)


def mixed_sizes(folder: Path) -> Path:
    for k in range(6):
        picture(folder / "leaves" / "ab"[k % 2] / f"{k}.png", 40 + k, 50)
    return folder / "leaves"


def mixed_sizes_and_a_file_that_is_none(folder: Path) -> Path:
    path = mixed_sizes(folder)
    (path / "a" / "7.png").write_bytes(b"no image")
    return path


def photographs(folder: Path) -> Path:
    for k in range(4):
        picture(folder / "photos" / "ab"[k % 2] / f"{k}.jpg", 700, 900)
    return folder / "photos"


def validation_and_test_alone(folder: Path) -> Path:
    for side in ("test", "valid"):
        for k in range(6):
            picture(folder / "halves" / side / "ab"[k % 2] / f"{k}.png")
    return folder / "halves"


def table_of_oblong_pixels(folder: Path) -> Path:
    rows = np.hstack([np.arange(20)[:, None] % 2, RNG.integers(0, 256, (20, 8 * 12))])
    np.savetxt(folder / "oblong.csv", rows, "%d", delimiter=",")
    return folder / "oblong.csv"


def table_whose_label_may_stand_at_both_ends(folder: Path) -> Path:
    labels = np.arange(20)[:, None] % 2
    rows = np.hstack([labels, RNG.integers(0, 256, (20, 63)), labels])
    np.savetxt(folder / "ends.csv", rows, "%d", delimiter=",")
    return folder / "ends.csv"


def table_with_two_columns_of_words(folder: Path) -> Path:
    lines = ["file,photographer,kind"]
    for k in range(12):
        picture(folder / "listed" / f"{k}.png")
        lines.append(f"{k}.png,person {k},{'oak' if k % 2 else 'elm'}")
    (folder / "listed" / "table.csv").write_text("\n".join(lines))
    return folder / "listed" / "table.csv"


def arrays_under_other_names(folder: Path) -> Path:
    np.savez(folder / "cells.npz", stack=RNG.integers(0, 256, (12, 8, 8), dtype=np.uint8), kind=np.arange(12) % 2)
    return folder / "cells.npz"


def two_tables(folder: Path) -> Path:
    for name, count in (("one", 24), ("two", 20)):
        rows = np.hstack([np.arange(count)[:, None] % 2, RNG.integers(0, 256, (count, 64))])
        (folder / "tables").mkdir(exist_ok=True)
        np.savetxt(folder / "tables" / f"{name}.csv", rows, "%d", delimiter=",")
    return folder / "tables"


def labels_in_file_names(folder: Path) -> Path:
    for k in range(12):
        picture(folder / "named" / f"{'cat' if k % 2 else 'dog'}_{k}.png")
    return folder / "named"


OPEN = [
    (labels_in_file_names, {"read": {"labels": "[label]_[id]"}}),
    (mixed_sizes, {"read": {"size": [32, 32]}}),
    (mixed_sizes_and_a_file_that_is_none, {"read": {"size": [32, 32], "skip_bad": True}}),
    (photographs, {"read": {"size": [96, 96]}}),
    (validation_and_test_alone, {"path": "halves/valid", "test": "halves/test"}),
    (table_of_oblong_pixels, {"read": {"shape": [8, 12]}}),
    (table_whose_label_may_stand_at_both_ends, {"read": {"label": "first"}}),
    (table_with_two_columns_of_words, {"read": {"label": "kind"}}),
    (arrays_under_other_names, {"read": {"image": "stack", "label": "kind"}}),
    (two_tables, {"path": "tables/one.csv"}),
]
_ids = [make.__name__ for make, _ in OPEN]


@pytest.mark.parametrize(("make", "expected"), OPEN, ids=_ids)
def test_the_table_is_printed_with_every_doubt_at_once_and_reads_the_files_when_pasted(
    make, expected, tmp_path, monkeypatch
):
    path = make(tmp_path)
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(command, ["show", str(path)])
    assert shown.exit_code == 2
    text = shown.output
    table = text[text.index("[data]") : text.index("To look at")]
    pasted = tomllib.loads(table)["data"]
    assert pasted == {"path": str(path.relative_to(tmp_path)), **expected}
    # Size and bad files are one message; of arrays the images and the labels are.
    is_one = make in (arrays_under_other_names, mixed_sizes_and_a_file_that_is_none)
    assert text.count("error: ") == len(expected.get("read", {"path": ""})) - is_one
    dataset = prepare(propose(Data(path=str(path))).data)
    # The same through a study file, and through the command that the message gives.
    values = {**pasted, **{key: str(tmp_path / pasted[key]) for key in ("path", "test") if key in pasted}}
    assert prepare(Data.of(values)).info.content == dataset.info.content
    if "test" not in expected:
        words = shlex.split(text[text.index("assay data show ") :].splitlines()[0])[3:]
        again = CliRunner().invoke(command, ["show", *words])
        assert again.exit_code == 0, again.output
        assert dataset.info.content in again.output


@pytest.mark.parametrize(("make", "expected"), OPEN, ids=_ids)
def test_a_study_is_written_that_reads_them_and_never_over_another(make, expected, tmp_path):
    path, target = make(tmp_path), tmp_path / "sub" / "study.toml"
    target.parent.mkdir()
    shown = CliRunner().invoke(command, ["show", str(path), "--write", str(target)])
    assert shown.exit_code == 0, shown.output
    study = read_study(target)
    assert prepare(study.data).info.content == propose(Data(path=str(path))).dataset.info.content
    assert "# Proposed, check it: " in target.read_text()
    before = target.read_bytes()
    shown = CliRunner(catch_exceptions=True).invoke(command, ["show", str(path), "--write", str(target)])
    assert "it is there already" in str(shown.exception)
    assert target.read_bytes() == before


def test_a_written_study_has_shapes_that_fit_small_images_too(tmp_path):
    from assay import describe

    for side in (4, 6, 28, 96):
        for k in range(4):
            picture(tmp_path / str(side) / "ab"[k % 2] / f"{k}.png", side, side)
        target = tmp_path / f"{side}.toml"
        shown = CliRunner().invoke(command, ["show", str(tmp_path / str(side)), "--write", str(target)])
        assert shown.exit_code == 0, shown.output
        assert describe(read_study(target))


def test_what_no_value_mends_is_refused_with_what_was_in_doubt_before(tmp_path):
    path = mixed_sizes(tmp_path)
    (path / "c").mkdir()
    with pytest.raises(InputError, match="class folder c holds no images"):
        propose(Data(path=str(path)))
    for file in sorted(path.rglob("*.png"))[1:]:
        file.write_bytes(b"no image")
    (path / "c").rmdir()
    with pytest.raises(InputError) as caught:
        propose(Data(path=str(path)))
    assert len(caught.value.problems) >= 1


def test_every_read_key_is_an_option_that_reads_as_the_table_does():
    values = {
        "label": ("kind", "kind"), "image": ("file", "file"), "header": ("", True), "shape": ("8x12", (8, 12)),
        "labels": ("y.npy", "y.npy"), "classes": ("oak,elm", ("oak", "elm")), "size": ("64", (64, 64)),
        "fit": ("crop", "crop"), "channels": ("3", 3), "background": ("0", 0), "skip_bad": ("", True),
    }  # fmt: skip
    assert values.keys() == Reading.model_fields.keys()

    import click

    from assay.cli.read_options import read_values

    taken = {}

    @click.command()
    @read_options
    def show(**read: object) -> None:
        taken.update(read_values(read))

    words = [word for key, (text, _) in values.items() for word in (f"--{key.replace('_', '-')}", text) if word]
    assert CliRunner().invoke(show, words).exit_code == 0
    assert taken == {key: value for key, (_, value) in values.items()}
    assert Reading(**taken).model_dump() == {key: value for key, (_, value) in values.items()}
    taken.clear()
    CliRunner().invoke(show, ["--no-header", "--classes", "10"])
    assert taken == {"header": False, "classes": 10}
    assert "give height and width" in CliRunner().invoke(show, ["--size", "large"]).output


@pytest.mark.parametrize(
    "value", [True, 3, 0.25, 'say "leaf"', "C:\\leaves", "é\n\t", [64, 64], ("a", "b"), {"size": [8, 8], "fit": "pad"}]
)
def test_values_are_written_as_toml_reads_them(value):
    expected = list(value) if isinstance(value, tuple) else value
    assert tomllib.loads(f"value = {toml_value(value)}")["value"] == expected


@pytest.mark.parametrize("test", [0.2, 6, Last(last=0.25), Last(last=5), None])
def test_tables_say_the_test_split_and_the_groups_as_they_were_given(test, tmp_path):
    data = Data.of({"path": str(tmp_path / "my leaves"), "test": test, "groups": {"before": "_"}})
    table = data_table(data, tmp_path, is_test_there=test is not None)
    values = tomllib.loads(table)["data"]
    assert values["path"] == "my leaves"
    assert Data.of({**values, "path": data.path}) == data
    assert ("# test = 0.2" in table) == (test is None)


def test_nothing_inside_an_archive_is_proposed_as_a_path(tmp_path):
    folder = two_tables(tmp_path)
    shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    with pytest.raises(InputError, match="none is plainly the training split") as caught:
        propose(Data(path=str(tmp_path / "packed.zip")))
    assert caught.value.problems[0].remedy == {}


def test_measurements_are_not_proposed_as_pixels(tmp_path):
    rows = np.hstack([RNG.integers(0, 90, (20, 4)), np.arange(20)[:, None] % 2])
    np.savetxt(tmp_path / "people.csv", rows, "%d", delimiter=",", header="age,height,weight,pulse,ill", comments="")
    with pytest.raises(InputError, match="hardly images of 2 x 2 pixels"):
        propose(Data(path=str(tmp_path / "people.csv")))


def test_read_options_have_no_meaning_for_registered_data_and_studies():
    shown = CliRunner().invoke(command, ["show", "digits", "--size", "8x8"])
    assert "leave --size out" in str(shown.exception)


def test_what_is_advised_of_large_images_is_accepted_by_a_study(tmp_path):
    """A size for files of images, and none for arrays, whose form takes no size."""
    images = RNG.integers(0, 256, (6, 300, 260), dtype=np.uint8)
    np.savez(tmp_path / "large.npz", x_train=images, y_train=np.arange(6) % 2)
    (note,) = [note for note in prepare(Data(path=str(tmp_path / "large.npz"))).info.notes if "MB each" in note]
    assert "read =" not in note
    for number, image in enumerate(images):
        folder = tmp_path / "files" / ("a", "b")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}.png")
    (note,) = [note for note in prepare(Data(path=str(tmp_path / "files"))).info.notes if "MB each" in note]
    read = tomllib.loads(re.search(r"read = \{.*?\}", note)[0])["read"]
    assert prepare(Data.of({"path": str(tmp_path / "files"), "read": read})).info.height == read["size"][0]


def test_arrays_of_two_shapes_are_not_told_to_give_a_size(tmp_path):
    arrays = {"x_train": RNG.integers(0, 256, (6, 8, 8), dtype=np.uint8), "y_train": np.arange(6) % 2}
    arrays |= {"x_test": RNG.integers(0, 256, (4, 9, 9), dtype=np.uint8), "y_test": np.arange(4) % 2}
    np.savez(tmp_path / "two.npz", **arrays)
    with pytest.raises(DataError, match="the test images are 9 x 9 x 1, and the training images 8 x 8 x 1; bring the"):
        prepare(Data(path=str(tmp_path / "two.npz")))
