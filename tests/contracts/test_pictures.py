"""One way from a picture to an input: every door reads a file as training's reader reads it.

The truth is what training itself has: the file lies among a study's training images, and each door is given the same
file. What a door hands to the networks is recorded where they are asked.
"""

from __future__ import annotations

import base64
import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image
from pyarrow import parquet
from starlette.testclient import TestClient

import assay
from assay.cli import main
from assay.data import make, prepare
from assay.data.make import FORMS
from assay.errors import SpecError
from assay.results.explanations.subject import image_of, subject_of
from assay.spec import Data
from assay.train.predictor import Predictor
from assay.web import make_app

from ..helpers import small_study
from ..web.conftest import HOSTS, URL

Images = NDArray[Any]
SIZE = (16, 16)
RAMP = np.tile(4 * np.arange(64, dtype=np.uint8), (32, 1))  # 32 high, 64 wide


def ramp(path: Path) -> Path:
    Image.fromarray(RAMP).save(path)
    return path


def photo(path: Path) -> Path:
    """A JPEG in colour that has to be turned by 90 degrees."""
    pixels = np.random.default_rng(4).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((40, 24), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(path, exif=exif, quality=95)
    return path


def glass(path: Path) -> Path:
    """A half-transparent picture."""
    pixels = np.random.default_rng(5).integers(0, 256, (20, 50, 4), dtype=np.uint8)
    Image.fromarray(pixels, "RGBA").save(path)
    return path


def palette(path: Path) -> Path:
    Image.fromarray(np.random.default_rng(6).integers(0, 256, (30, 22, 3), dtype=np.uint8)).quantize(16).save(path)
    return path


def printed(path: Path) -> Path:
    """Cyan, magenta, yellow and black."""
    pixels = np.random.default_rng(7).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    Image.fromarray(pixels, "CMYK").save(path, quality=95)
    return path


def deep(path: Path) -> Path:
    """Grey in 16 bits."""
    Image.fromarray(np.random.default_rng(8).integers(0, 65536, (20, 24), dtype=np.uint16)).save(path)
    return path


PROBES: dict[str, Callable[[Path], Path]] = {
    "ramp.png": ramp,
    "photo.jpg": photo,
    "glass.png": glass,
    "palette.gif": palette,
    "printed.jpg": printed,
}
# What a study says of its pictures, and which ones it learns from.
READINGS: dict[str, tuple[dict[str, Any], dict[str, Callable[[Path], Path]]]] = {
    "stretch": ({"size": SIZE}, PROBES),
    "crop": ({"size": SIZE, "fit": "crop"}, PROBES),
    "pad over grey": ({"size": (12, 20), "fit": "pad", "background": 90}, PROBES),
    "black background": ({"size": SIZE, "background": 0}, PROBES),
    "made grey": ({"size": SIZE, "channels": 1}, PROBES),
    "taken as colour": ({"size": SIZE, "channels": 3}, {"ramp.png": ramp}),
    "16 bits": ({"size": SIZE, "fit": "pad", "background": 0}, {"ramp.png": ramp, "deep.png": deep}),
}


@dataclass
class Learned:
    """A study of pictures, finished.

    Args:
        name: The study's.
        store: Its store.
        folder: With its pictures.
        expected: What training's reader made of each of them, by file name.
    """

    name: str
    store: Path
    folder: Path
    expected: dict[str, Images] = field(default_factory=dict)


def trained(data: Data, store: Path, name: str) -> assay.Result:
    layers = ["flatten", "layernorm", "dense classes softmax"]  # nothing has to be compiled
    values: dict[str, Any] = {
        "name": name,
        "data": {**data.model_dump(exclude_none=True), "validation": 3},
        "network": {"layers": layers},
        "factors": {},
        "training": {"epochs": 1, "batch_size": 8},
        "seeds": {"count": 1},
    }
    return assay.run(small_study(**values), store=store)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures") / "store"


@pytest.fixture(scope="module", params=READINGS)
def learned(request: pytest.FixtureRequest, store: Path, shared_cache: Path) -> Learned:
    reading, probes = READINGS[request.param]
    name = request.param.replace(" ", "-")
    folder = store.parent / name
    for label in "ab":
        (folder / label).mkdir(parents=True)
        for number in range(3):
            plain = np.random.default_rng(number).integers(0, 256, (24, 24), dtype=np.uint8)
            Image.fromarray(plain).save(folder / label / f"z{number}.png")
    for file, draw in probes.items():
        draw(folder / "a" / file)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(shared_cache))
        data = Data(path=str(folder), read=reading)
        trained(data, store, name)
        images = prepare(data).training().images
        files = sorted(path.name for path in (folder / "a").iterdir())
        expected = {file: np.array(images[files.index(file)]) for file in probes}
    return Learned(name, store, folder / "a", expected)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Images]:
    """What networks were asked about, in the order of the questions."""
    seen: list[Images] = []
    real = Predictor.probabilities

    def record(self: Predictor, images: Images) -> Images:
        seen.append(np.array(images))
        return real(self, images)

    monkeypatch.setattr(Predictor, "probabilities", record)
    return seen


def by_command(study: Learned, path: Path, asked: list[Images]) -> Images:
    with pytest.raises(SystemExit) as ended:
        main(["predict", study.name, str(path), "--store", str(study.store)])
    assert ended.value.code == 0
    return np.concatenate(asked)[0]


def by_python(study: Learned, path: Path, asked: list[Images]) -> Images:
    assay.predict(study.name, path, store=study.store)
    return np.concatenate(asked)[0]


def client_of(study: Learned) -> TestClient:
    return TestClient(make_app(study.store, HOSTS), base_url=URL)


def by_page(study: Learned, path: Path, asked: list[Images]) -> Images:
    with client_of(study) as client:
        address = f"/api/studies/{study.name}/play/image"
        answer = client.post(address, content=path.read_bytes(), headers={"content-type": "image/png"})
    assert answer.status_code == 200, answer.text
    return asked[-1][0]


def by_predict(study: Learned, path: Path, asked: list[Images]) -> Images:
    with client_of(study) as client:
        body = {"study": study.name, "images": [base64.b64encode(path.read_bytes()).decode()]}
        answer = client.post("/predict", json=body)
    assert answer.status_code == 200, answer.text
    return asked[-1][0]


def by_explain(study: Learned, path: Path, asked: list[Images]) -> Images:
    model = assay.find(study.name, store=study.store).model()
    return image_of(subject_of(model, "validation"), path).image


def by_card(study: Learned, path: Path, asked: list[Images]) -> Images:
    """The example in the exported network's model card, run as it stands."""
    card = study.store.parent / f"{study.name}-exported" / "model-card.md"
    if not card.exists():
        assay.result(study.name, store=study.store).export("safetensors", folder=card.parent)
    code = card.read_text().partition("```python\n")[2].partition("```")[0]
    assert code
    place: dict[str, Any] = {}
    exec(code, place)
    images: Images = place["read_picture"](path)
    return images[0]


DOORS = {
    "assay predict": by_command,
    "assay.predict": by_python,
    "the page": by_page,
    "/predict": by_predict,
    "assay explain": by_explain,
    "the model card": by_card,
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_reads_a_picture_as_training_did(learned: Learned, door: str, asked: list[Images]) -> None:
    for file, expected in learned.expected.items():
        asked.clear()
        found = DOORS[door](learned, learned.folder / file, asked)
        assert found.dtype == expected.dtype, file
        np.testing.assert_array_equal(found, expected, err_msg=file)


def test_only_pictures_of_characters_can_be_framed(learned: Learned) -> None:
    with client_of(learned) as client:
        content = (learned.folder / "ramp.png").read_bytes()
        address = f"/api/studies/{learned.name}/play/image?kind=character"
        answer = client.post(address, content=content, headers={"content-type": "image/png"})
        body = {"study": learned.name, "images": [base64.b64encode(content).decode()], "framed": True}
        predicted = client.post("/predict", json=body)
    assert (answer.status_code, predicted.status_code) == (422, 422)
    assert "not trained on single characters" in answer.json()["error"]


def test_the_page_and_the_report_say_how_pictures_are_brought_to_size(learned: Learned) -> None:
    sentence = {
        "crop": "cut around the centre to its proportions",
        "pad-over-grey": "kept whole, with grey (90 of 255) around them",
        "16-bits": "kept whole, with black around them",
    }.get(learned.name, "stretched, whatever their proportions")
    with client_of(learned) as client:
        assert sentence in client.get(f"/api/studies/{learned.name}/play").json()["reading"]
    report = assay.result(learned.name, store=learned.store).report(learned.store.parent / f"{learned.name}.html")
    assert sentence in report.read_text()


def test_the_measured_ramp_is_brought_to_size_as_the_study_says(tmp_path: Path) -> None:
    """64 x 32 to 16 x 16: row 8 of values that rise by 4 from column to column."""
    for label in "ab":
        (tmp_path / label).mkdir()
        ramp(tmp_path / label / "ramp.png")
    expected = {
        "stretch": (8, 244),  # the whole width
        "crop": (66, 186),  # its middle half, twice as finely
        "pad": (8, 244),  # the whole width again, in the middle eight rows
    }
    contents = set()
    for fit, ends in expected.items():
        dataset = prepare(Data(path=str(tmp_path), read={"size": SIZE, "fit": fit, "background": 7}))
        contents.add(dataset.info.content)
        image = dataset.training().images[0, :, :, 0]
        assert (int(image[8, 0]), int(image[8, -1])) == ends
        assert ((image == 7).all(1)).tolist() == [fit == "pad" and not 4 <= row < 12 for row in range(16)]
    assert len(contents) == 3  # other content, so that no run is taken for one of another study


def test_a_study_without_a_choice_is_the_study_that_it_was() -> None:
    before = {"size": [16, 16], "background": 255, "skip_bad": False}  # as stores hold it from before there was one
    data = Data.of({"path": "x", "read": before})
    assert data.model_dump(mode="json", exclude_none=True)["read"] == before
    assert data == Data.of({"path": "x", "read": {**before, "fit": "stretch"}})
    chosen = Data.of({"path": "x", "read": {**before, "fit": "pad"}})
    assert Data.of(chosen.model_dump(mode="json", exclude_none=True)) == chosen != data


def test_pictures_for_a_registered_data_set_are_read_as_its_study_says() -> None:
    data = Data(name="mnist", read={"fit": "pad", "background": 0})
    assert data.identity() == Data(name="mnist").identity()
    with pytest.raises(SpecError, match=r"read\.size: this belongs to path"):
        Data(name="mnist", read={"size": SIZE, "fit": "pad"})


# Files that a study of 8 x 8 images can learn from: how they are written, and how they are read.

RNG = np.random.default_rng(11)
COUNT = 36
GREY = RNG.integers(0, 256, (COUNT, 8, 8, 1), dtype=np.uint8)
LABELS = np.arange(COUNT) % 3


def encoded(image: Images) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "PNG")
    return file.getvalue()


def packed(folder: Path, name: str) -> Path:
    """The folder of images that ``make`` writes, as an archive."""
    tree = written(folder / "tree", "folders")
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    path = folder / name
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w") as target:
            for file in files:
                target.write(file, file.relative_to(tree))
    else:
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as target:
            for file in files:
                target.add(file, str(file.relative_to(tree)))
    return path


def written(folder: Path, form: str) -> Path:
    """The images as ``assay data make`` writes them, training images alone."""
    source = assay.arrays(GREY, LABELS, name="made")
    make(source, folder, form=form)
    names = {"list": "train.csv", "amat": "train.amat", "csv": "train_data.csv", "tsv": "train_data.tsv"}
    return folder / "train" if form == "folders" else folder / names.get(form, {"npz": "data.npz"}.get(form, "."))


def with_ids(folder: Path) -> Path:
    path = folder / "ids.csv"
    rows = [f"{k},{LABELS[k]},{','.join(map(str, GREY[k].ravel()))}" for k in range(COUNT)]
    path.write_text("\n".join([",".join(["id", "label", *(f"p{k}" for k in range(64))]), *rows]))
    return path


def with_groups(folder: Path) -> Path:
    path = folder / "groups.csv"
    rows = [f"g{k // 4},{LABELS[k]},{','.join(map(str, GREY[k].ravel()))}" for k in range(COUNT)]
    path.write_text("\n".join([",".join(["person", "label", *(f"p{k}" for k in range(64))]), *rows]))
    return path


def numbers(folder: Path) -> Path:
    path = folder / "numbers.parquet"
    kind = pa.list_(pa.list_(pa.uint8()))
    parquet.write_table(pa.table({"pixels": pa.array(GREY[..., 0].tolist(), kind), "y": pa.array(LABELS)}), path)
    return path


def hub(folder: Path) -> Path:
    """A folder of Parquet files with plain bytes, under names of one's own."""
    for part, chosen in (("train-0", slice(0, 20)), ("train-1", slice(20, COUNT))):
        table = {"scan": pa.array([encoded(image) for image in GREY[chosen]]), "kind": pa.array(LABELS[chosen])}
        parquet.write_table(pa.table(table), folder / f"{part}.parquet")
    return folder


def saved(folder: Path, **arrays: Images) -> Path:
    np.savez_compressed(folder / "own.npz", **arrays)
    return folder / "own.npz"


def saved_apart(folder: Path) -> Path:
    np.save(folder / "images.npy", GREY[..., 0] / np.float32(255))
    np.save(folder / "classes.npy", LABELS)
    return folder / "images.npy"


def idx_file(folder: Path) -> Path:
    return next(path for path in sorted(written(folder, "idx").iterdir()) if "train-images" in path.name)


FILES: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    **{form: (lambda folder, form=form: written(folder, form), {}) for form in FORMS},  # type: ignore[misc]
    "an idx file": (idx_file, {}),
    "zip": (lambda folder: packed(folder, "a.zip"), {}),
    "tar": (lambda folder: packed(folder, "a.tar"), {}),
    "tar.gz": (lambda folder: packed(folder, "a.tar.gz"), {}),
    "csv with ids and labels": (with_ids, {}),
    "csv with groups": (with_groups, {"groups": "person"}),
    "parquet of numbers": (numbers, {"read": {"image": "pixels", "label": "y"}}),
    "parquet of one's own columns": (hub, {"read": {"image": "scan", "label": "kind"}}),
    "npz in Fortran's order": (lambda folder: saved(folder, x=np.asfortranarray(GREY[..., 0]), y=LABELS), {}),
    "npz of one's own names": (
        lambda folder: saved(folder, scans=GREY, kinds=LABELS),
        {"read": {"image": "scans", "label": "kinds"}},
    ),
    "npz of flat rows": (
        lambda folder: saved(folder, x=GREY.reshape(COUNT, 64), y=LABELS),
        {"read": {"shape": (4, 16)}},
    ),
    "npz in 16 bits": (lambda folder: saved(folder, x=GREY.astype(np.uint16) * 257, y=LABELS), {}),
    "npz of fine shares": (lambda folder: saved(folder, x=RNG.uniform(size=(COUNT, 8, 8)), y=LABELS), {}),
    "npz of black and white": (lambda folder: saved(folder, x=GREY // 128, y=LABELS), {}),
    "npy beside its labels": (saved_apart, {"read": {"labels": "classes.npy"}}),
}


LABELS_APART = ("idx", "an idx file", "folders", "zip", "tar", "tar.gz", "npy beside its labels")


@pytest.mark.parametrize("form", FILES)
def test_what_a_study_can_learn_from_can_be_predicted(
    form: str, store: Path, tmp_path: Path, asked: list[Images], capsys: pytest.CaptureFixture[str]
) -> None:
    write, options = FILES[form]
    path = write(tmp_path)
    data = Data(path=str(path), **options)
    expected = np.asarray(prepare(data).training().images)
    name = "of-bytes"
    if options or expected.dtype != np.uint8:
        name = f"of-{form.replace(' ', '-')}".replace("'", "").replace(".", "-")
        trained(data, store, name)
    else:  # nothing is said of how such files are read: one study speaks for all
        trained(assay.arrays(GREY, LABELS), store, name)
    assert len(expected) == COUNT
    for door in ("command", "python"):
        asked.clear()
        if door == "python":
            frame = assay.predict(name, path, store=store)
            assert len(frame) == COUNT
        else:
            with pytest.raises(SystemExit) as ended:
                main(["predict", name, str(path), "--store", str(store)])
            assert ended.value.code == 0
            notes = capsys.readouterr().err
            assert ("not used" in notes or "are not." in notes) is (form not in LABELS_APART), notes
        found = np.concatenate(asked)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
