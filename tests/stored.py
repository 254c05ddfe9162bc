"""Studies with known scores in a store, for what reads stores: nothing is trained."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from assay.spec import Study
from assay.store import ArmRecord, StudyRecord, open_reader, open_writer
from assay.store.files import connect
from assay.store.writer import StoreWriter
from assay.train import EpochRecord

from .helpers import small_study

EPOCHS = 2


def stored_study(arms: Sequence[str] = ("a", "b"), *, count: int = 6, **seeds: object) -> Study:
    """A study of digits with one layer, alike in every arm but for the arm's name."""
    return small_study(
        network=None,
        factors={},
        arms=[{"name": name, "layers": ["flatten", "dense classes softmax"]} for name in arms],
        training={"epochs": EPOCHS},
        seeds={"count": count, **seeds},
    )


def put_plan(writer: StoreWriter, study: Study) -> None:
    """Plan a study's runs: those that are in the store keep their results."""
    runs = [(f"{arm.name}-{seed}", arm.name, seed) for arm in study.expand() for seed in range(study.seeds.planned)]
    writer.put_study(
        name=study.name,
        question=study.question,
        spec=study.model_dump(mode="json", exclude_none=True),
        data={"name": "digits", "title": "Digits", "content": "0" * 64, "shape": [8, 8, 1], "num_test": 360,
              "classes": list("0123456789")},
        arms=[
            ArmRecord(arm.name, place, dict(arm.levels), arm.model_dump(mode="json"))
            for place, arm in enumerate(study.expand())
        ],
        members=[(arm, seed, None, run) for run, arm, seed in runs],
        runs=[(run, seed, EPOCHS, {"seed": seed}) for run, _, seed in runs],
    )  # fmt: skip


def put_scores(writer: StoreWriter, study: Study, scores: Mapping[str, Sequence[float]], *, start: int = 0) -> None:
    """Finish the runs of each arm's seeds, from ``start`` on, with these validation accuracies."""
    for arm, accuracies in scores.items():
        for seed, accuracy in enumerate(accuracies, start):
            run = f"{arm}-{seed}"
            writer.put_started(study.name, run, {"threads": 1})
            writer.put_epochs(run, [_epoch(number, accuracy) for number in range(1, EPOCHS + 1)])
            writer.put_finished(study.name, run, seconds=1.0, peak_memory_bytes=1, weights=(run, "hash", 1))


def put_study(store: Path, scores: Mapping[str, Sequence[float]], *, count: int | None = None) -> Study:
    """A study whose arms' first seeds have these validation accuracies; as many are planned unless ``count`` says."""
    study = stored_study(tuple(scores), count=count or max(len(arm) for arm in scores.values()))
    with open_writer(store) as writer:
        put_plan(writer, study)
        put_scores(writer, study, scores)
    return study


@contextlib.contextmanager
def edited(store: Path) -> Iterator[sqlite3.Connection]:
    """The store's database, to be changed as Assay would: rows that are written get their checksums."""
    connection = connect(store, writable=True)
    try:
        yield connection
    finally:
        connection.close()


def record_of(store: Path, name: str = "small") -> StudyRecord:
    with open_reader(store) as reader:
        return reader.study(name, is_brief=True)


def _epoch(number: int, accuracy: float) -> EpochRecord:
    return EpochRecord(number, 0.5, accuracy, 0.5, accuracy, 0.5, accuracy, 0.001, 1.0)
