"""Data sets that Assay writes: the variations' own definitions, and no image on both sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from assay.data import make, prepare
from assay.data.make import FORMS
from assay.data.variations import VARIATIONS, Settings, generator_of, noisy_labels, random_background, read_backgrounds
from assay.errors import DataError, SpecError
from assay.spec import Data


def test_random_background_is_the_larger_of_digit_and_uniform_noise():
    images = np.zeros((400, 10, 10, 1), np.uint8)
    images[:, 3:5] = 200
    made = random_background(images, generator_of(1), Settings())
    assert made.dtype == np.uint8
    assert (made >= images).all()
    noise = made[:, 5:].ravel()
    counts = np.bincount(noise, minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-4
    # P(max(200, noise) = 200) is 201/256.
    assert np.mean(made[:, 3:5] == 200) == pytest.approx(201 / 256, abs=4 * np.sqrt(0.17 / 8000))
    again = random_background(images, generator_of(1), Settings())
    assert np.array_equal(made, again)
    assert not np.array_equal(made, random_background(images, generator_of(2), Settings()))


def contents(data: Data) -> tuple[list[bytes], list[bytes]]:
    dataset = prepare(data)
    return [i.tobytes() for i in dataset.training().images], [i.tobytes() for i in dataset.test().images]


def csv(folder: Path) -> Data:
    return Data(path=str(folder / "train_data.csv"), test=str(folder / "test_data.csv"))


def test_parts_are_drawn_and_never_overlap(tmp_path):
    make("digits", tmp_path / "a", num_training=200, num_test=400)  # the test split has 359
    training, test = contents(csv(tmp_path / "a"))
    digits = prepare("digits")
    own = {i.tobytes() for i in digits.test().images}
    others = {i.tobytes() for i in digits.training().images}
    assert (len(training), len(test)) == (200, 400)
    assert set(training) <= others
    assert sum(i in own for i in test) >= 359
    assert not set(training) & (set(test) - own)
    make("digits", tmp_path / "b", num_training=200, num_test=400)
    make("digits", tmp_path / "c", num_training=200, num_test=400, seed=1)
    files = [(tmp_path / name / "train_data.csv").read_bytes() for name in "abc"]
    assert files[0] == files[1] != files[2]
    with pytest.raises(SpecError, match="got 1600 test images, and Optical digits"):
        make("digits", tmp_path / "d", num_training=200, num_test=1600)
    with pytest.raises(SpecError, match="got 1439 training images"):
        make("digits", tmp_path / "d", num_training=1439)


def test_everything_is_written_unless_less_is_wanted(tmp_path):
    make("digits", tmp_path)
    made, digits = prepare(csv(tmp_path)), prepare("digits")
    assert np.array_equal(made.training().images, digits.training().images)
    assert np.array_equal(made.training().labels, digits.training().labels)
    assert np.array_equal(made.test().images, digits.test().images)


def test_document_d_s_form(tmp_path):
    make("digits", tmp_path, variation="random-background", num_training=50, num_test=20, test_labels=False)
    rows = [line.split(",") for line in (tmp_path / "train_data.csv").read_text().splitlines()]
    assert {len(row) for row in rows} == {65}
    assert all(0 <= float(cell) <= 1 for row in rows for cell in row[:-1])
    assert {row[-1] for row in rows} <= set("0123456789")
    assert {line.count(",") for line in (tmp_path / "test_data.csv").read_text().splitlines()} == {63}
    assert not prepare(csv(tmp_path)).info.is_test_labelled


def test_unknown_words_name_the_nearest(tmp_path):
    with pytest.raises(SpecError, match='did you mean "random-background"'):
        make("digits", tmp_path, variation="random_background")
    with pytest.raises(SpecError, match='"xls" is no known format'):
        make("digits", tmp_path, form="xls")


def blob(count: int, size: int = 21) -> np.ndarray:
    """A bright square above the centre, so that a turn is seen in the centre of mass."""
    images = np.zeros((count, size, size, 1), np.uint8)
    images[:, 3:7, 8:13] = 200
    return images


def centres(images: np.ndarray) -> np.ndarray:
    """Centre of mass relative to the middle, [n, (down, right)]."""
    grid = np.mgrid[: images.shape[1], : images.shape[2]] - (images.shape[1] - 1) / 2
    weights = images[..., 0].astype(float)
    return np.einsum("nhw,chw->nc", weights, grid) / weights.sum(axis=(1, 2))[:, None]


def test_angles_are_uniform_over_the_whole_turn():
    made = VARIATIONS["rotated"](blob(600), generator_of(3), Settings())
    down, right = centres(made).T
    np.testing.assert_allclose(np.hypot(down, right), 5.5, atol=0.2)
    turns = np.arctan2(right, -down) / (2 * np.pi) % 1
    assert stats.kstest(turns, "uniform").pvalue > 1e-3


def test_shifts_are_whole_and_uniform_and_nothing_wraps():
    made = VARIATIONS["translated"](blob(2000), generator_of(4), Settings(shift=2))
    moved = centres(made) - centres(blob(1))
    np.testing.assert_allclose(moved, np.rint(moved), atol=1e-6)
    for axis in range(2):
        counts = np.bincount(np.rint(moved[:, axis]).astype(int) + 2, minlength=5)
        assert len(counts) == 5
        assert stats.chisquare(counts).pvalue > 1e-3
    far = VARIATIONS["translated"](blob(300), generator_of(4), Settings(shift=18))
    assert far.sum(axis=(1, 2, 3)).max() <= blob(1).sum()


def test_elastic_bends_smoothly_and_stays_about_where_it_was():
    made = VARIATIONS["elastic"](blob(100, 28), generator_of(5), Settings())
    assert len({image.tobytes() for image in made}) == 100
    assert np.abs(centres(made) - centres(blob(1, 28))).mean() < 2
    mass = made.sum(axis=(1, 2, 3)) / blob(1, 28).sum()
    assert 0.7 < mass.mean() < 1.3


def test_backgrounds_are_patches_and_the_digit_stays_on_top(tmp_path):
    from PIL import Image

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(6)
    whole = rng.integers(0, 150, (40, 50), dtype=np.uint8)
    Image.fromarray(whole).save(pictures / "a.png")
    Image.fromarray(np.full((40, 40), 77, np.uint8)).save(pictures / "flat.png")
    Image.fromarray(whole[:5]).save(pictures / "small.png")
    backgrounds = read_backgrounds(pictures, 21, 21)
    assert [picture.shape for picture in backgrounds] == [(40, 50), (40, 40)]
    made = VARIATIONS["image-background"](blob(20), generator_of(7), Settings(backgrounds=backgrounds))
    assert (made >= blob(20)).all()
    windows = np.lib.stride_tricks.sliding_window_view(whole, (21, 21)).reshape(-1, 441)
    behind = blob(1)[0, ..., 0].ravel() == 0
    for image in made[..., 0].reshape(20, -1):
        assert (windows[:, behind] == image[behind]).all(axis=1).sum() == 1
    turned = VARIATIONS["rotated-image-background"](blob(20), generator_of(7), Settings(backgrounds=backgrounds))
    assert not np.array_equal(turned, made)
    with pytest.raises(DataError, match="no picture of at least 60 x 60"):
        read_backgrounds(pictures, 60, 60)
    (pictures / "b.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"b\.png is no picture"):
        read_backgrounds(pictures, 21, 21)


def test_exactly_the_share_of_labels_is_wrong_and_the_wrong_ones_are_uniform():
    labels = np.arange(5000) % 10
    noisy, chosen = noisy_labels(labels, 10, generator_of(8), Settings(share=0.3))
    assert len(chosen) == 1500
    assert np.array_equal(np.flatnonzero(noisy != labels), chosen)
    steps = np.bincount((noisy - labels)[chosen] % 10, minlength=10)
    assert steps[0] == 0
    assert stats.chisquare(steps[1:]).pvalue > 1e-3


def test_noisy_labels_are_written_with_the_list_of_them_and_the_test_split_stays_clean(tmp_path):
    paths = make("digits", tmp_path, variation="noisy-labels", settings=Settings(share=0.1))
    assert [path.name for path in paths] == ["train_data.csv", "test_data.csv", "changed_labels.csv"]
    made, digits = prepare(csv(tmp_path)), prepare("digits")
    assert np.array_equal(made.test().labels, digits.test().labels)
    assert np.array_equal(made.training().images, digits.training().images)
    rows = [line.split(",") for line in paths[2].read_text().splitlines()[1:]]
    wrong = np.flatnonzero(made.training().labels != digits.training().labels)
    assert [int(row[0]) for row in rows] == wrong.tolist()
    assert len(rows) == round(0.1 * 1438)
    for index, true, written in rows:
        assert int(true) == digits.training().labels[int(index)]
        assert int(written) == made.training().labels[int(index)]


@pytest.mark.parametrize("variation", [name for name in VARIATIONS if name != "noisy-labels"])
def test_variations_are_functions_of_the_seed(tmp_path, variation):
    pictures = [np.random.default_rng(1).integers(0, 256, (30, 30), dtype=np.uint8)]
    how = {"variation": variation, "settings": Settings(backgrounds=pictures), "num_training": 30, "num_test": 10}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make("digits", tmp_path / name, seed=seed, form="npz", **how)
    files = [(tmp_path / name / "data.npz").read_bytes() for name in "abc"]
    assert files[0] == files[1] != files[2]


@pytest.mark.parametrize(
    ("variation", "settings", "told"),
    [
        ("image-background", Settings(), "needs pictures"),
        ("translated", Settings(shift=8), "give 1 to 7 pixels"),
        ("noisy-labels", Settings(share=1.5), "between 0 and 1"),
    ],
)
def test_impossible_settings_are_refused(tmp_path, variation, settings, told):
    with pytest.raises(SpecError, match=told):
        make("digits", tmp_path, variation=variation, settings=settings)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_overwritten_unless_forced_and_nothing_old_stays(tmp_path, form):
    how = {"form": form, "num_training": 40, "num_test": 12}
    first = make("digits", tmp_path / "out", **how, seed=1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("out/**/*") if path.is_file()}
    with pytest.raises(SpecError, match=r"out: it holds .* already; give another folder, or replace them with --force"):
        make("digits", tmp_path / "out", **how)
    assert {path: path.read_bytes() for path in tmp_path.rglob("out/**/*") if path.is_file()} == before
    again = make("digits", tmp_path / "out", **{**how, "num_training": 30}, force=True)
    assert again == first
    make("digits", tmp_path / "fresh", **{**how, "num_training": 30})

    def files(name: str) -> dict[str, bytes]:
        folder = tmp_path / name
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    assert files("out") == files("fresh")


@pytest.mark.parametrize(("form", "name"), [("folders", "train/0/mine.png"), ("list", "test/notes.txt")])
def test_files_that_assay_did_not_write_are_never_deleted(tmp_path, form, name):
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(SpecError, match=r"it holds files that Assay did not write"):
        make("digits", tmp_path / "out", form=form, num_training=30, num_test=10, force=True)
    assert path.read_bytes() == b"mine"
