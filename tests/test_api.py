from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import assay
from assay.errors import SpecError, StoreError

from .helpers import small_study


@pytest.mark.usefixtures("worker_processes")
def test_a_study_in_a_notebook(tmp_path: Path) -> None:
    result = assay.run(small_study(), store=tmp_path, workers=2)
    frame = result.frame()
    assert len(frame) == 4
    assert set(frame["arm"]) == {"rate=0", "rate=0.3"}
    assert list(frame["state"]) == ["finished"] * 4
    assert frame["validation_accuracy"].between(0, 1).all()
    epochs = result.epochs()
    assert len(epochs) == 8
    assert assay.studies(tmp_path) == ["small"]
    assert assay.result("small", store=tmp_path).runs == result.runs
    assert "rate=0.3" in result._repr_html_()
    revealed = result.reveal()
    assert revealed["test_accuracy"].between(0, 1).all()
    assert result.report(tmp_path / "r.html").exists()


def test_load_by_name_and_by_path(tmp_path: Path) -> None:
    by_name = assay.load("first-look")
    by_path = assay.load(assay.shipped()["first-look"])
    assert by_name == by_path
    assert [arm.name for arm in by_name.expand()] == ["dropout=0", "dropout=0.5"]


def test_errors_are_ours(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="neither a file nor a shipped study"):
        assay.load("no-such")
    with pytest.raises(SpecError, match="give 1 or more"):
        assay.run(small_study(), store=tmp_path, workers=0)
    with pytest.raises(StoreError, match="there is no store here"):
        assay.result("small", store=tmp_path / "none")


def test_describe_needs_no_data() -> None:
    summaries = assay.describe(assay.load("mnist-dropout"))
    assert summaries["dropout=0"].parameters == 184_458


@pytest.mark.slow
def test_mnist_lands_where_document_a_did(tmp_path: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_DATA", str(real_data))
    result = assay.run("mnist-dropout", store=tmp_path)
    assert result.reveal()["test_accuracy"].between(0.986, 0.994).all()


def test_data_that_changed_after_a_run_are_not_scored(tmp_path: Path) -> None:
    import numpy as np

    from assay.errors import DataError

    def write(seed: int) -> None:
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 256, (120, 8, 8), dtype=np.uint8)
        labels = np.tile([0, 1, 2], 40)
        np.savez(tmp_path / "own.npz", x_train=images[:90], y_train=labels[:90], x_test=images[90:], y_test=labels[90:])

    write(0)
    study = small_study(
        data={"path": str(tmp_path / "own.npz"), "validation": 0.2}, factors={"rate": [0.0]},
        network={"layers": ["dropout {rate}", "flatten", "dense classes softmax"]}, seeds={"count": 1},
    )  # fmt: skip
    found = assay.run(study, store=tmp_path / "store")
    assert "Validation accuracy" in found.report().read_text()
    write(1)
    for look in (found.reveal, found.doubtful_labels):
        with pytest.raises(DataError, match="has changed since small was run"):
            look()
    assert not found.record.looks
    (tmp_path / "own.npz").unlink()
    assert "dense classes softmax" in found.report().read_text()


def test_leaky_results_are_marked_wherever_they_are(tmp_path: Path) -> None:
    study = small_study(data={"name": "digits", "validation": "test", "as_published": True})
    found = assay.run(study, store=tmp_path)
    assert found.compare().as_dict()["leaky"] is True
    assert "Leaky" in str(found.compare())
    frames = (found.frame(), found.epochs(), found.compare().frame(), found.diagnose().frame())
    assert [frame.attrs["leaky"] for frame in frames] == [True] * 4
    assert found.diagnose().as_dict()["leaky"] is True


def test_the_number_of_seeds_is_checked_wherever_it_is_given() -> None:
    for count in (0, -3):
        with pytest.raises(SpecError, match="count"):
            small_study().with_seeds(count)


@pytest.mark.parametrize(("margin", "is_meant"), [(0.01, False), (0.3, True), (1.0, True)])
def test_a_margin_of_less_than_one_image_is_remarked(margin: float, is_meant: bool) -> None:
    """It is in percentage points, and often written as a share."""
    study = assay.Study(
        data={"name": "digits", "validation": 359},
        network={"layers": ["flatten", "dense classes softmax"]},
        seeds={"margin": margin},
    )
    notes = [note for note in assay.remarks(study) if "margin" in note]
    expected = "margin = 0.01 is less than one of 359 validation images is worth (0.28 points). It"
    assert [note[: len(expected)] for note in notes] == ([] if is_meant else [expected])


def norm_note(study: assay.Study) -> list[str]:
    return [note for note in assay.remarks(study) if "atch normalization" in note]


# Digits have 1,438 training images; validation takes a tenth, and 1,294 are left: 11 steps of 128, 21 of 64.
@pytest.mark.parametrize(
    ("layer", "training", "expected"),
    [
        ("batchnorm", {"epochs": 10}, ("33 %", "110 steps", "momentum 0.99", "momentum=0.9")),
        ("batchnorm momentum=0.9", {"epochs": 10}, None),
        ("batchnorm momentum=0.9", {"epochs": 2}, ("9.8 %", "22 steps", "momentum 0.9,", "momentum=0.8")),
        ("batchnorm", {"epochs": 1}, ("90 %", "11 steps", "momentum 0.99", "train longer")),
        ("batchnorm", {"epochs": 41}, ("1.1 %", "451 steps", "momentum 0.99", "momentum=0.9")),
        ("batchnorm", {"epochs": 42}, None),
        ("batchnorm", {"epochs": 40, "stop_after": 10}, ("33 %", "110 steps", "momentum 0.99", "momentum=0.9")),
        ("batchnorm", {"epochs": 12, "batch_size": 32}, None),
        ("batchnorm", {"epochs": 10, "swa": {"start": 0.5}}, None),
        ("layernorm", {"epochs": 1}, None),
    ],
)
def test_moving_statistics_that_keep_their_start_values_are_remarked(
    layer: str, training: dict[str, Any], expected: tuple[str, ...] | None
) -> None:
    study = assay.Study(
        data={"name": "digits"},
        network={"layers": [{"residual": ["conv 4 3x3 padding=same", layer]}, "flatten", "dense classes softmax"]},
        training=training,
    )
    notes = norm_note(study)
    assert len(notes) == (expected is not None)
    if expected is not None:
        assert all(part in notes[0] for part in expected), notes
        assert "In arm" not in notes[0]
    if training == {"epochs": 10} and expected:
        assert notes == [
            "Batch normalization keeps 33 % of its start values after 110 steps with momentum 0.99, so validation "
            'scores may be too low: write "batchnorm momentum=0.9", or train longer.'
        ]


def test_the_arm_with_the_stalest_statistics_is_named_where_others_are_well() -> None:
    layers = ["flatten", "dense 8", "batchnorm", "dense classes softmax"]
    study = assay.Study(
        data={"name": "digits"},
        arms=[
            {"name": "plain", "layers": ["flatten", "dense classes softmax"]},
            {"name": "short", "layers": layers, "training": {"epochs": 5}},
            {"name": "shorter", "layers": layers, "training": {"epochs": 3}},
        ],
    )
    (note,) = norm_note(study)
    assert note.startswith('In arm "shorter", batch normalization keeps 72 % of its start values after 33 steps')


def test_the_images_of_the_arm_count_and_so_do_searches() -> None:
    layers = ["flatten", "dense 8", "batchnorm", "dense classes softmax"]
    few = assay.Study(
        data={"name": "digits", "training": "{images} per class"},
        network={"layers": layers},
        factors={"images": [20, 100]},
        training={"epochs": 25, "batch_size": 10},
    )
    assert norm_note(few) == []
    (note,) = norm_note(few.model_copy(update={"training": {"epochs": 14, "batch_size": 10}}))
    assert note.startswith('In arm "images=20", batch normalization keeps 6.0 % of its start values after 280 steps')
    searched = assay.Study(
        data={"name": "digits"},
        network={"layers": ["flatten", "dense {width}", "batchnorm", "dense classes softmax"]},
        search={"space": {"width": [4, 8]}, "trials": 2},
    )
    (note,) = norm_note(searched)
    assert note.startswith("Batch normalization keeps 33 %")


def test_statistics_of_bases_are_remarked_only_where_they_start_anew() -> None:
    base = {"name": "mobilenetv2", "weights": "random", "until": "block1", "size": 32}
    for train, expected in (("none", 0), ("all", 1)):
        study = assay.Study(
            data={"name": "digits"},
            network={"base": {**base, "train": train}, "layers": ["globalavgpool", "dense classes softmax"]},
        )
        notes = norm_note(study)
        assert len(notes) == expected
        assert all(note.endswith("so validation scores may be too low: train longer.") for note in notes)
