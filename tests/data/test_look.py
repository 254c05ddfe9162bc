"""The look before training: suspicious labels, names of copies, words for balance, one page."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tests.data.test_survey import scenes

import assay
from assay.cli.data import command
from assay.data import copies, look, prepare, survey
from assay.data.suspects import NEIGHBOURS, find_suspects
from assay.report import look_page
from assay.spec import Data

RNG = np.random.default_rng(83)


def kinds(count: int, num_classes: int = 4, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of a few kinds, each a scene with much noise on it: neighbours tell them apart."""
    labels = np.arange(count) % num_classes
    noise = np.random.default_rng(count).normal(0, 40, (count, 24, 24, channels))
    return (scenes(num_classes, channels)[labels] + noise).clip(0, 255).astype(np.uint8), labels


@pytest.mark.parametrize("channels", [1, 3])
def test_planted_labels_are_found_and_others_are_not(channels):
    images, labels = kinds(400, channels=channels)
    planted = np.random.default_rng(1).choice(400, 12, replace=False)
    wrong = labels.copy()
    wrong[planted] = (labels[planted] + 1 + np.arange(12) % 3) % 4
    found = find_suspects(images, wrong, 4)
    indices = {one.index for one in found.images}
    assert indices <= set(planted.tolist())
    assert len(indices) >= 9  # one is missed where two of its ten neighbours are wrong themselves
    for one in found.images:
        assert (one.label, one.neighbours_label) == (wrong[one.index], labels[one.index])
        assert wrong[one.neighbour] == one.neighbours_label
        assert one.votes >= 9
    assert find_suspects(images, labels, 4).images == ()


def test_digits_with_planted_faults_are_found_with_few_others():
    training = prepare("digits").training()
    labels = np.array(training.labels)
    rng = np.random.default_rng(2)
    planted = rng.choice(len(labels), 28, replace=False)
    labels[planted] = (labels[planted] + 1 + rng.integers(0, 9, 28)) % 10
    found = [one.index for one in find_suspects(training.images, labels, 10).images]
    hits = len(np.intersect1d(found, planted))
    assert hits >= 21  # three quarters of them
    assert hits >= 0.8 * len(found)


def test_classes_that_neighbours_do_not_tell_apart_are_not_judged():
    images = RNG.integers(0, 256, (300, 12, 12, 1), dtype=np.uint8)
    found = find_suspects(images, np.arange(300) % 2, 2)
    assert (found.images, found.judged) == ((), ())
    dataset = prepare(assay.arrays(images, np.arange(300) % 2))
    assert re.match(r"Only \d+ % of images .* not judged before training", look(dataset).judgement)


def test_rare_classes_are_not_suspected_for_being_rare():
    images, labels = kinds(400)
    rare = np.flatnonzero(labels == 3)[8:]
    keep = np.setdiff1d(np.arange(400), rare)
    assert find_suspects(images[keep], labels[keep], 4).images == ()


def test_copies_do_not_outvote_other_neighbours():
    images, labels = kinds(200)
    image = images[7]
    for row in range(3, 3 + 4 * 2 * NEIGHBOURS, 4):  # of class 3, as image 7 is: copies of it with a wrong label
        images[row] = image
    labels = labels.copy()
    labels[np.flatnonzero((images == image).all(axis=(1, 2, 3)))] = 1
    labels[7] = 3
    assert 7 not in [one.index for one in find_suspects(images, labels, 4).images]


def test_few_images_and_many_of_them_are_no_trouble():
    assert find_suspects(*kinds(8), 4).images == ()
    assert find_suspects(np.zeros((50, 1, 1, 1), np.uint8), np.arange(50) % 2, 2).images == ()


def test_near_copies_are_the_same_with_all_pairs_compared(monkeypatch):
    images = np.array(prepare("digits").training().images[:600])
    images[400:500] = np.rint(0.9 * images[:100])
    own, passed = copies._may_correlate, []
    monkeypatch.setattr(copies, "_may_correlate", lambda *given: passed.append(own(*given)) or passed[-1])
    first = copies.copies_of({"train": images[:400], "test": images[400:]}, np.arange(400) % 2)
    monkeypatch.setattr(copies, "_may_correlate", lambda pairs, _: np.ones(len(pairs), bool))
    assert copies.copies_of({"train": images[:400], "test": images[400:]}, np.arange(400) % 2) == first
    assert first[1].across > 0
    assert not passed[0].all()  # some pairs were left out without their pixels


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((5, 5, 5), "Balanced: each class has 5 training images."),
        ((10, 12, 14), "Balanced: 10 to 14 training images a class."),
        ((10, 30), "Imbalanced: 10 to 30 training images a class, 3 to 1."),
        ((2, 50), "Strongly imbalanced: 2 to 50 training images a class, 25 to 1."),
        ((0, 5, 5), "Incomplete: 1 class has no training image."),
    ],
)
def test_balance_is_said_in_words(counts, expected):
    labels = np.repeat(np.arange(len(counts)), counts)
    data = assay.arrays(scenes(len(labels)), labels, classes=len(counts))
    assert survey(prepare(data)).balance == expected


def folder_with_faults(path: Path) -> Path:
    images, labels = kinds(120)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = path / "train" / f"kind{label}" / f"{index:03}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(place)
    others = kinds(8)
    for index, (image, label) in enumerate(zip(*others, strict=True)):
        place = path / "test" / f"kind{label}" / f"{index}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(place)
    (path / "test" / "kind1" / "5.png").write_bytes((path / "train" / "kind1" / "013.png").read_bytes())
    near = (np.asarray(Image.open(path / "train" / "kind2" / "022.png")) * 0.9).astype(np.uint8)
    Image.fromarray(near).save(path / "test" / "kind2" / "6.png")
    (path / "train" / "kind0" / "044.png").rename(path / "train" / "kind3" / "044.png")
    (path / "train" / "kind0" / "again.png").write_bytes((path / "train" / "kind1" / "001.png").read_bytes())
    return path


def test_copies_between_splits_and_suspicious_labels_name_their_files(tmp_path):
    path = folder_with_faults(tmp_path / "kinds")
    seen = look(prepare(Data(path=str(path))))
    assert [(pair.first, pair.second, pair.is_exact) for pair in seen.across] == [
        ("train/kind1/013.png", "test/kind1/5.png", True),
        ("train/kind2/022.png", "test/kind2/6.png", False),
    ]
    assert {(pair.first, pair.second) for pair in seen.conflicting} == {
        ("train/kind0/again.png", "train/kind1/001.png")
    }
    assert {one.name: one.likely for one in seen.suspects} == {
        "train/kind3/044.png": "kind0",
        "train/kind0/again.png": "kind1",
    }
    again = look(prepare(Data(path=str(path))))
    assert again == seen  # from the file beside the memory maps
    shown = CliRunner().invoke(command, ["show", str(path)]).output
    assert "equal, in both splits: train/kind1/013.png and test/kind1/5.png" in shown
    assert "train/kind3/044.png  kind3  kind0" in re.sub("  +", "  ", shown)


def test_names_follow_a_drawn_test_split_and_files_that_are_left_out(tmp_path):
    for k in range(20):
        place = tmp_path / "tree" / "ab"[k % 2] / f"{k:02}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 10 * k, np.uint8)).save(place)
    (tmp_path / "tree" / "a" / "05.png").write_bytes(b"none")
    dataset = prepare(Data.of({"path": str(tmp_path / "tree"), "test": 0.25, "read": {"skip_bad": True}}))
    for side, images in (("train", dataset.training().images), ("test", dataset.test_images())):
        names = dataset.names_of(side)
        assert [int(Path(name).stem) * 10 for name in names] == images[:, 0, 0, 0].tolist()


def test_the_page_needs_nothing_else_and_shows_no_test_image(tmp_path):
    path = folder_with_faults(tmp_path / "<kinds> & more")
    target = tmp_path / "look.html"
    assert CliRunner().invoke(command, ["show", str(path), "--html", str(target)]).exit_code == 0
    html = target.read_text()
    assert "&lt;kinds&gt; &amp; more" in html
    assert "<kinds>" not in html
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", html)
    assert "train/kind3/044.png" in html
    dataset = prepare(Data(path=str(path)))
    seen = look(dataset)
    assert html.count("<img ") == 1 + 2 * len(seen.suspects)  # the examples, and pairs of training images
    assert look_page(dataset, seen) == look_page(dataset, seen)
    assert "give an .html file" in str(CliRunner().invoke(command, ["show", str(path), "--html", "x.png"]).exception)
