"""Corrected labels: what a table says is what runs learn, the data stay as they are, and the content follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import assay
from assay.data import doubts_table, look, look_doubts, prepare, read_corrections
from assay.errors import DataError
from assay.spec import Data, parse_study

from ..helpers import small_study

RNG = np.random.default_rng(8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(20):
        folder = tmp_path / "photos" / ("elm", "oak")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "photos"


def table(folder: Path, *rows: str, head: str = "image,label,corrected") -> str:
    path = folder / "corrections.csv"
    path.write_text("\n".join([head, *rows, ""]))
    return str(path)


def test_labels_follow_the_table_and_nothing_else_changes(photos, tmp_path):
    data = Data(path=str(photos), test=0.25)
    before = prepare(data)
    names = before.names_of("train")
    assert names is not None
    elm = next(name for name in names if name.startswith("elm"))
    files = {path: path.read_bytes() for path in photos.rglob("*.png")}
    corrected = data.model_copy(update={"corrections": table(tmp_path, f"{elm},elm,oak")})
    after = prepare(corrected)
    changed = np.flatnonzero(before.training().labels != after.training().labels)
    assert [names[at] for at in changed] == [elm]
    assert after.info.classes[after.training().labels[changed[0]]] == "oak"
    assert np.array_equal(before.training().images, after.training().images)
    assert np.array_equal(before.test().labels, after.test().labels)
    assert after.names_of("train") == names
    assert before.info.content != after.info.content == prepare(corrected).info.content
    assert "1 label is corrected by corrections.csv." in after.info.notes
    assert {path: path.read_bytes() for path in photos.rglob("*.png")} == files
    # Another table gives other data, and so other runs.
    again = data.model_copy(update={"corrections": table(tmp_path, f"{elm},elm,elm")})
    assert prepare(again).info.content == before.info.content


def test_data_that_are_no_files_are_corrected_by_number(tmp_path):
    labels = prepare("digits").training().labels
    wanted = str((labels[7] + 1) % 10)
    corrected = prepare(
        Data(name="digits", corrections=table(tmp_path, f"#7,{labels[7]},{wanted}", f"12,,{labels[12]}"))
    )
    assert np.flatnonzero(corrected.training().labels != labels).tolist() == [7]
    assert "1 of its rows name the label that the data have already." in corrected.info.notes
    arrays = assay.arrays(RNG.integers(0, 256, (12, 5, 5), np.uint8), np.arange(12) % 2)
    own = prepare(arrays.model_copy(update={"corrections": table(tmp_path, "#0,0,1")}))
    assert own.training().labels.tolist() == [1, *(np.arange(1, 12) % 2)]


@pytest.mark.parametrize(
    ("rows", "head", "message"),
    [
        (["elm/99.png,elm,oak"], None, r'corrections\.csv:2, data\.corrections: "elm/99\.png" is no training image'),
        (["{elm},elm,ash"], None, 'there is no class "ash"; did you mean|there is no class "ash"'),
        (["{elm},oak,oak"], None, None),
        (["{elm},ash,oak"], None, "has the label elm in the data, and the row says ash"),
        (["{elm},elm,oak", "{elm},elm,elm"], None, "is corrected twice"),
        (["{test},elm,oak"], None, "is a test image, whose label stays sealed"),
        (["x,elm"], "image,label", "has no column corrected; begin it with image,label,corrected"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_its_line(photos, tmp_path, rows, head, message):
    data = Data(path=str(photos), test=0.25)
    dataset = prepare(data)
    train, test = dataset.names_of("train"), dataset.names_of("test")
    names = {
        "elm": next(name for name in train if name.startswith("elm")),
        "test": next(name for name in test if name.startswith("elm")),
    }
    path = table(tmp_path, *(row.format(**names) for row in rows), **({"head": head} if head else {}))
    corrected = data.model_copy(update={"corrections": path})
    if message is None:  # somebody has moved the file since: nothing is left to correct
        assert prepare(corrected).info.content != dataset.info.content
        return
    with pytest.raises(DataError, match=message):
        prepare(corrected)


def test_a_missing_table_and_one_that_is_no_text_are_said(photos, tmp_path):
    data = Data(path=str(photos), corrections=str(tmp_path / "none.csv"))
    with pytest.raises(DataError, match=r"none\.csv, data\.corrections: there is no such file"):
        prepare(data)
    (tmp_path / "none.csv").write_bytes(b"\xff\xfe\0\1")
    with pytest.raises(DataError, match="no table in UTF-8"):
        prepare(data)


def test_a_study_file_names_the_table_beside_it_and_old_specs_stay_as_they_were(tmp_path):
    text = '[data]\nname = "digits"\n{}\n[network]\nlayers = ["flatten", "dense classes softmax"]\n'
    plain = parse_study(text.format(""), file=str(tmp_path / "s.toml"), name="s")
    corrected = parse_study(text.format('corrections = "fixed.csv"'), file=str(tmp_path / "s.toml"), name="s")
    assert corrected.data.corrections == str(tmp_path / "fixed.csv")
    assert "corrections" not in plain.model_dump(mode="json")["data"]
    assert corrected.data.identity() == plain.data.identity()


def test_runs_learn_the_corrected_labels(tmp_path):
    """Fingerprints follow: runs on corrected labels are other runs."""
    labels = prepare("digits").training().labels
    study = small_study(factors={}, network={"layers": ["flatten", "dense classes softmax"]}, seeds={"count": 1})
    first = assay.run(study, store=tmp_path / "store")
    path = table(tmp_path, *(f"#{at},{labels[at]},{(labels[at] + 1) % 10}" for at in range(50)))
    data = study.data.model_copy(update={"corrections": path})
    second = assay.run(study.model_copy(update={"data": data, "name": "corrected"}), store=tmp_path / "store")
    assert first.runs[0].id != second.runs[0].id
    assert second.record.data["content"] == prepare(data).info.content


def test_the_list_of_doubts_filled_in_is_a_table_of_corrections(tmp_path):
    images = RNG.integers(0, 60, (200, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(200) % 2
    images[labels == 0, :4] += 150
    images[labels == 1, 4:] += 150
    wrong = labels.copy()
    wrong[[3, 8]] = 1 - wrong[[3, 8]]
    data = assay.arrays(images, wrong, classes=["up", "down"])
    dataset = prepare(data)
    doubts = look_doubts(dataset, look(dataset))
    assert {one.index for one in doubts} >= {3, 8}
    (tmp_path / "doubts.csv").write_text(doubts_table(doubts))
    assert read_corrections(tmp_path / "doubts.csv") == ()  # an empty cell corrects nothing
    lines = (tmp_path / "doubts.csv").read_text().splitlines()
    assert lines[0] == "image,label,corrected,suggested,why,file"
    by_image = {one.image: one for one in doubts}
    filled = [lines[0]]
    for line in lines[1:]:
        image, label, _, rest = line.split(",", 3)
        filled.append(f"{image},{label},{by_image[image].suggested if image in ('#3', '#8') else ''},{rest}")
    (tmp_path / "doubts.csv").write_text("\n".join(filled))
    after = prepare(data.model_copy(update={"corrections": str(tmp_path / "doubts.csv")}))
    assert np.array_equal(after.training().labels, labels)
