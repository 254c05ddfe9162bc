"""Folders of saved predictions: every form of a file, and the claim on new images that they allow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import assay
from assay.errors import DataError

CLASSES, IMAGES, SEEDS = 4, 120, 8


@pytest.fixture
def predicted() -> tuple[np.ndarray, dict[str, list[np.ndarray]]]:
    """Labels, and probabilities of two arms [seeds][images, classes]; the second is right more often."""
    rng = np.random.default_rng(9)
    labels = rng.integers(0, CLASSES, IMAGES)
    hard = rng.normal(size=IMAGES)
    arms: dict[str, list[np.ndarray]] = {}
    for arm, skill in (("base", 1.0), ("wide", 2.4)):
        arms[arm] = []
        for _ in range(SEEDS):
            logits = rng.normal(size=(IMAGES, CLASSES))
            logits[np.arange(IMAGES), labels] += skill - hard
            arms[arm].append(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    return labels, arms


def save(folder: Path, labels: np.ndarray, arms: dict[str, list[np.ndarray]], form: str) -> Path:
    for arm, of_seeds in arms.items():
        (folder / arm).mkdir(parents=True)
        for seed, values in enumerate(of_seeds):
            path = folder / arm / f"seed-{seed}"
            if form == "npy":
                np.save(path.with_suffix(".npy"), values)
            elif form == "classes":
                np.save(path.with_suffix(".npy"), values.argmax(1))
            elif form == "npz":
                order = np.random.default_rng(seed).permutation(IMAGES)
                np.savez(path.with_suffix(".npz"), probabilities=values[order], labels=labels[order], images=order)
            else:
                frame = pd.DataFrame(values, columns=[f"class {number}" for number in range(CLASSES)])
                frame.assign(label=labels).to_csv(path.with_suffix(".csv"), index=False)
    if form in ("npy", "classes"):
        np.save(folder / "labels.npy", labels)
    return folder


def test_every_form_gives_the_same_verdict_on_new_images(
    predicted: tuple[np.ndarray, dict[str, list[np.ndarray]]], tmp_path: Path
) -> None:
    labels, arms = predicted
    judged = {form: assay.judge(save(tmp_path / form, labels, arms, form)) for form in ("npy", "classes", "npz", "csv")}
    assert len({str(one.compare()) for one in judged.values()}) == 1
    contrast = judged["npy"].compare().contrasts[0]
    hits = {arm: np.array([values.argmax(1) == labels for values in of_seeds]) for arm, of_seeds in arms.items()}
    assert contrast.difference is not None
    assert contrast.difference.mean == pytest.approx(hits["wide"].mean() - hits["base"].mean())
    assert "speaks of new images" in contrast.details
    assert not any("no per-image results" in note for note in judged["npy"].answer.notes)
    # What other images add makes the interval wider than that of seeds alone.
    rows = [
        {"arm": arm, "seed": seed, "score": value}
        for arm in arms
        for seed, value in enumerate(hits[arm].mean(1).tolist())
    ]
    alone = assay.judge(pd.DataFrame(rows)).compare().contrasts[0].difference
    of_table = assay.judge(tmp_path / "npy", claim="these images").compare().contrasts[0].difference
    assert alone is not None
    assert of_table is not None
    assert (of_table.low, of_table.high) == (alone.low, alone.high)
    assert contrast.difference.high - contrast.difference.low > alone.high - alone.low
    assert judged["npy"].record.data["largest_class"] == np.bincount(labels).max() / IMAGES


@pytest.mark.parametrize(
    "break_it", ["labels", "length", "nan", "pickle", "seed", "twice", "negative", "shape", "text"]
)
def test_what_is_no_prediction_is_one_sentence(
    predicted: tuple[np.ndarray, dict[str, list[np.ndarray]]], tmp_path: Path, break_it: str
) -> None:
    labels, arms = predicted
    folder = save(tmp_path / "predictions", labels, arms, "npy")
    path = folder / "wide" / "seed-3.npy"
    words = {
        "labels": "nothing says the right classes; add predictions/labels.npy",
        "length": "there are predictions for 100 images, and 120 labels",
        "nan": r"the prediction for image 7 is no number \(NaN\)",
        "pickle": "no array that NumPy reads without unpickling",
        "seed": "this name holds no seed; call it such as seed-0.npy",
        "twice": 'arm "wide" has two scores for seed 3',
        "negative": "labels reach from -1 to 3; number them from 0",
        "shape": r"predictions have the shape \(120, 2, 2\)",
        "text": "predictions are of type <U1; give numbers",
    }[break_it]
    values = arms["wide"][3].copy()
    if break_it == "labels":
        (folder / "labels.npy").unlink()
    elif break_it == "length":
        np.save(path, values[:100])
    elif break_it == "nan":
        values[7, 2] = np.nan
        np.save(path, values)
    elif break_it == "pickle":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif break_it == "seed":
        path.rename(path.with_name("last.npy"))
    elif break_it == "twice":
        np.save(folder / "wide" / "run3.npy", values)
    elif break_it == "negative":
        np.save(folder / "labels.npy", np.where(labels == 0, -1, labels))
    elif break_it == "shape":
        np.save(path, values.reshape(IMAGES, 2, 2))
    else:
        np.save(path, np.full(IMAGES, "a"))
    with pytest.raises(DataError, match=words) as caught:
        assay.judge(folder)
    assert len(caught.value.problems) == 1
