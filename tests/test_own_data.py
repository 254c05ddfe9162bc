"""Images of one's own from end to end: colour, and finer than bytes."""

from __future__ import annotations

import numpy as np
import pytest

import assay
from assay.errors import SpecError

RNG = np.random.default_rng(23)
STUDY = """
[data]
name = "digits"
validation = 0.2
[network]
layers = ["conv 4 3x3 relu", "flatten", "dense classes softmax"]
[training]
epochs = {epochs}
batch_size = 16
optimizer = {{ name = "adam", learning_rate = 0.01 }}
[seeds]
count = 1
"""


def pictures(count: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Bright on top or below: anything that sees the images learns them."""
    labels = np.arange(count) % 2
    images = RNG.integers(0, 120, (count, 8, 8, channels), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 * label : 4 * label + 4] += 100
    return images, labels


@pytest.mark.parametrize(
    ("channels", "kind", "scaling"), [(3, "bytes", "unit"), (3, "float32", "standard"), (1, "float32", "unit")]
)
def test_colour_and_float32_images_train_and_are_revealed(tmp_path, channels, kind, scaling):
    images, labels = pictures(200, channels)
    values = images if kind == "bytes" else images / 255 + RNG.random(images.shape) / 2000
    path = tmp_path / "s.toml"
    path.write_text(STUDY.format(epochs=8).replace("validation", f'scaling = "{scaling}"\nvalidation'))
    study = assay.load(path, data=assay.arrays(values, labels, test=0.25))
    assert study.data.scaling == scaling
    result = assay.run(study, store=tmp_path / "store", workers=1)
    frame = result.reveal()
    assert frame["validation_accuracy"].tolist() == [1.0]
    assert frame["test_accuracy"].tolist() == [1.0]
    assert result.report().stat().st_size > 10_000


def test_float32_images_are_not_augmented(tmp_path):
    images, labels = pictures(40, 1)
    path = tmp_path / "s.toml"
    path.write_text(STUDY.format(epochs=1).replace("batch_size", "augmentation = { shift = 1 }\nbatch_size"))
    with pytest.raises(SpecError, match=r"training\.augmentation: .* augmentation works on bytes"):
        assay.load(path, data=assay.arrays(images / 1000, labels))
    assert assay.load(path, data=assay.arrays(images, labels)).data.content


@pytest.mark.parametrize("scaling", ["unit", "standard"])
def test_networks_see_the_same_of_bytes_and_of_shares(scaling):
    from assay.train.scaling import scaling_of

    images, _ = pictures(40, 3)
    shares = images / np.float32(255)
    chosen, reference = np.arange(7), np.arange(30)
    seen = [scaling_of(values, scaling, reference).apply(values, chosen) for values in (images, shares)]
    np.testing.assert_allclose(seen[0].numpy(), seen[1].numpy(), rtol=1e-5, atol=1e-5)


WRONG = {
    "minst": ('name = "minst"', {"data.name": 2, "network.layers[0]": 4}),
    "no file": ('path = "none.csv"', {"": None, "network.layers[0]": 4}),
    "content": ('name = "minst"; content = "abc"', {"data.content": 3, "data.name": 2, "network.layers[0]": 5}),
}


@pytest.mark.parametrize("name", WRONG)
def test_data_that_are_not_there_hide_no_other_mistake(tmp_path, name):
    data, told = WRONG[name]
    data = data.replace("; ", "\n")
    path = tmp_path / "s.toml"
    path.write_text(f'[data]\n{data}\n[network]\nlayers = ["conv 3 3x3 rellu", "flatten", "dense classes softmax"]\n')
    with pytest.raises(SpecError) as caught:
        assay.load(path)
    assert {problem.key: problem.line for problem in caught.value.problems} == told


def test_an_unknown_key_of_an_arm_hides_no_other_mistake(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(
        """
[data]
name = "minst"
[factors]
rate = [0.1, 0.2]
[training]
epochs = 0
[[arms]]
name = "a"
laiers = ["flatten", "dropout {rate}", "dense classes softmax"]
[[arms]]
name = "b"
layers = ["flatten", "dropout {rate}", "dense classes softmaxx"]

"""
    )
    with pytest.raises(SpecError) as caught:
        assay.load(path)
    told = {problem.key: problem.line for problem in caught.value.problems}
    assert told == {"arms[0].laiers": 10, "training.epochs": 7}


def test_a_split_that_cannot_be_drawn_fails_before_anything_is_stored(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(STUDY.format(epochs=1).replace("validation = 0.2", "validation = 5"))
    with pytest.raises(SpecError, match="which is 5 of 1438 images for 10 classes; set at least 10 aside"):
        assay.run(path, store=tmp_path / "store")
    assert not (tmp_path / "store").exists()
