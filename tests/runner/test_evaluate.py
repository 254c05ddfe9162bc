"""Per-image results in the store: of runs as they finish, and of those that an earlier version finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay import Result
from assay.runner.events import Finished, from_json, to_json
from assay.runner.progress import Silent
from assay.spec import Study
from assay.store import ImageHits, StudyRecord

from ..helpers import based_study, small_study
from ..stored import edited


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def run(study: Study, store: Path) -> tuple[StudyRecord, list[str]]:
    notes = Notes()
    assay.run(study, store=store, progress=notes)
    return Result(store, study.name).record, notes.notes


def hits_of(record: StudyRecord, run_id: str) -> tuple[list[int], np.ndarray]:
    name, bits = record.validation_hits[run_id]
    indices = record.image_sets[name]
    return indices.tolist(), np.unpackbits(np.frombuffer(bits, np.uint8), count=len(indices)).astype(bool)


def assert_are_accuracies(record: StudyRecord) -> None:
    assert record.runs
    for one in record.runs:
        assert one.kept is not None
        assert hits_of(record, one.id)[1].mean() == one.kept.validation_accuracy


def forget(store: Path, *, only: str = "") -> None:
    """As an earlier version left the store."""
    with edited(store) as connection:
        connection.execute("DELETE FROM validation_hits WHERE run LIKE ?", (f"{only}%",))
        connection.execute("DELETE FROM image_sets WHERE id NOT IN (SELECT images FROM validation_hits)")


def test_redrawn_splits_are_one_image_set_a_seed_which_arms_share(tmp_path: Path) -> None:
    record, notes = run(small_study(seeds={"count": 3, "vary": ["split", "init", "order"]}), tmp_path)
    assert_are_accuracies(record)
    assert notes == []
    sets = {seed: {record.validation_hits[one.id][0] for one in record.runs if one.seed == seed} for seed in range(3)}
    assert [len(names) for names in sets.values()] == [1, 1, 1]
    assert len(set.union(*sets.values())) == 3


def test_a_split_that_does_not_vary_is_one_image_set(tmp_path: Path) -> None:
    record, _ = run(small_study(data={"name": "digits", "validation": "last 20%"}), tmp_path)
    assert_are_accuracies(record)
    assert len(record.image_sets) == 1


def test_folds_of_a_seed_cover_all_training_images(tmp_path: Path) -> None:
    study = small_study(data={"name": "digits", "validation": "3-fold"}, seeds={"count": 1}, factors={"rate": [0.3]})
    record, _ = run(study, tmp_path)
    assert_are_accuracies(record)
    covered = sorted(index for one in record.runs for index in hits_of(record, one.id)[0])
    assert covered == list(range(record.data["num_training"]))


def test_test_images_that_are_validated_on_are_no_training_images(tmp_path: Path) -> None:
    leaky = {"name": "digits", "validation": "test", "as_published": True}
    record, _ = run(small_study(data=leaky, seeds={"count": 1}), tmp_path)
    assert_are_accuracies(record)
    (name,) = record.image_sets
    assert name.startswith("test:")
    assert record.image_sets[name].tolist() == list(range(record.data["num_test"]))


def test_a_search_keeps_those_of_its_finalists(tmp_path: Path) -> None:
    study = small_study(
        name="searched", factors={}, network={"layers": ["flatten", "dense {units}", "dense classes softmax"]},
        search={"space": {"units": [4, 8]}, "trials": 2, "finalists": 1}, seeds={"count": 2},
    )  # fmt: skip
    record, notes = run(study, tmp_path)
    assert_are_accuracies(record)
    assert notes == []


KEEPS_BEST = {"epochs": 6, "batch_size": 64, "keep": {"best": "validation_loss"}, "optimizer": "adam"}


@pytest.mark.parametrize(
    "study",
    [
        small_study(training=KEEPS_BEST),
        small_study(network={"layers": ["flatten", "layernorm", "dropout {rate}", "dense classes softmax"]}),
        small_study(data={"name": "digits", "validation": "test", "as_published": True}),
        small_study(data={"name": "digits", "validation": "2-fold"}, seeds={"count": 1}),
        based_study(),
    ],
    ids=["fused", "plain", "published", "folds", "base"],
)
def test_runs_that_lack_them_are_evaluated_and_not_trained(study: Study, tmp_path: Path) -> None:
    before, _ = run(study, tmp_path)
    forget(tmp_path)
    assert not Result(tmp_path, study.name).record.validation_hits
    after, notes = run(study, tmp_path)
    num = len(after.runs)
    assert notes == [f"{num} finished runs lack per-image results: their stored weights are evaluated"]
    assert after.validation_hits == before.validation_hits
    assert after.image_sets == before.image_sets
    assert after.runs == before.runs
    assert run(study, tmp_path)[1] == []


def test_only_runs_that_lack_them_are_evaluated_beside_new_ones(tmp_path: Path) -> None:
    before, _ = run(small_study(), tmp_path)
    forget(tmp_path, only=before.runs[1].id)
    after, notes = run(small_study(seeds={"count": 3}), tmp_path)
    assert notes == ["1 finished run lacks per-image results: its stored weights are evaluated"]
    assert_are_accuracies(after)
    assert len(after.runs) == 6


def test_an_accuracy_that_differs_is_noted_and_no_error(tmp_path: Path) -> None:
    before, _ = run(small_study(), tmp_path)
    forget(tmp_path)
    changed = before.runs[0]
    with edited(tmp_path) as connection:
        connection.execute(
            "UPDATE epochs SET validation_accuracy = validation_accuracy + 0.01 WHERE run = ?", (changed.id,)
        )
    after, notes = run(small_study(), tmp_path)
    assert len(notes) == 2
    assert notes[1].startswith("1 run: evaluated here, ")
    assert "by up to 1.00 points" in notes[1]
    assert after.validation_hits == before.validation_hits


def test_weights_that_are_gone_are_trained_anew_and_evaluated(tmp_path: Path) -> None:
    before, _ = run(small_study(), tmp_path)
    forget(tmp_path)
    (tmp_path / (before.runs[0].weights_path or "")).unlink()
    after, notes = run(small_study(), tmp_path)
    assert set(after.validation_hits) == {one.id for one in before.runs}
    assert notes[0].startswith("1 finished run has lost its weights and is trained anew (")
    assert notes[1] == "1 run has its weights back, bit for bit"
    assert notes[2].startswith("3 finished runs lack per-image results")


@pytest.mark.parametrize("hits", [None, ImageHits.of("test", np.array([0, 7]), np.array([True, False]))])
def test_an_event_is_the_same_after_its_journey(hits: ImageHits | None) -> None:
    import json

    event = Finished("run", 1.5, 7, "weights.safetensors", "hash", 12, kept_epoch=3, hits=hits)
    sent: dict[str, Any] = json.loads(json.dumps(to_json(event)))
    assert from_json(sent) == event
