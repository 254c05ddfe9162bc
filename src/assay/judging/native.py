"""A table that Assay wrote, as the record of the study that it is of."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import zlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, Problem
from ..store.columns import BriefRuns, RunColumns, reals, states_of, wholes
from ..store.image_sets import ImageSets
from ..store.predictions import KeptPredictions, PredictionRows, Split
from ..store.records import ArmRecord, StudyRecord, VerdictLook
from .columns import Names
from .export import FORM
from .measure import from_values
from .scores import Scores, check_scores
from .table import table_scores

if TYPE_CHECKING:
    import pandas as pd

_MOST_BYTES = 1 << 28
_KEYS = {"name", "question", "source", "created", "updated", "data", "study", "arms", "looks", "epochs", "measure"}


def native_record(frame: pd.DataFrame, header: str, *, source: str, first_line: int | None = None) -> StudyRecord:
    """The record of the study that a table is of.

    Args:
        frame: The table.
        header: Its header, as JSON.
        source: For sentences.
        first_line: As in ``table_scores``.

    Raises:
        DataError: A newer version of Assay wrote it, or it cannot be read.
    """
    values = _header(header, source)
    scores = table_scores(frame, Names(), source=source, name=str(values["name"]), first_line=first_line)
    try:
        arms = tuple(ArmRecord(**arm) for arm in values["arms"])
        looks = tuple(VerdictLook(**look) for look in values["looks"])
        _check(scores, [arm.name for arm in arms])
        images, hits, kept = (_decoded(frame, column) for column in ("images", "hits", "predictions"))
        predictions = [KeptPredictions.from_json(json.loads(one)) if one else None for one in kept]
        measure = values["measure"]
        return StudyRecord(
            name=str(values["name"]), question=str(values["question"]), spec=values["study"], data=values["data"],
            created=float(values["created"]), updated=float(values["updated"]), arms=arms,
            runs=_runs(frame, scores, int(values["epochs"])), verdict_looks=looks, source=str(values["source"]),
            judged_by=None if measure is None else from_values(measure),
            **image_parts(scores, images, hits, predictions),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, zlib.error, binascii.Error) as error:
        raise _damaged(source, f"{type(error).__name__} {error}") from None


def image_parts(
    scores: Scores, images: list[bytes], hits: list[bytes], predictions: list[KeptPredictions | None]
) -> dict[str, Any]:
    """A record's per-image results, from the packed bits and predictions of each row; a row without them has none."""
    sets: dict[str, bytes] = {}
    validation_hits: dict[str, tuple[str, bytes]] = {}
    held: dict[str, tuple[str, KeptPredictions]] = {}
    for row, which, right, kept in zip(scores.rows, images, hits, predictions, strict=True):
        if which and right:
            key = f"training:{hashlib.sha256(which).hexdigest()[:32]}"
            run = run_id(row.run, row.arm, row.seed, row.fold)
            sets[key] = which
            validation_hits[run] = (key, right)
            if kept is not None:
                held[run] = (key, kept)
    return {"validation_hits": validation_hits, "image_sets": ImageSets(sets), "predictions": _HeldPredictions(held)}


class _HeldPredictions:
    """Predictions in memory, as a record asks for them."""

    def __init__(self, held: Mapping[str, tuple[str, KeptPredictions]]) -> None:
        self._held = held

    def __call__(self, runs: Collection[str], split: Split) -> PredictionRows:
        known = [run for run in runs if run in self._held and split == "validation"]
        return iter([(run, *self._held[run]) for run in known])


def run_id(run: str, arm: str, seed: int, fold: int | None) -> str:
    """What identifies a row: its run's id, or where it has none what it is of."""
    return run or hashlib.sha256(json.dumps([arm, seed, fold]).encode()).hexdigest()


def run_columns(
    scores: Scores, arms: tuple[str, ...], *, epochs: int = 0, kept: list[int | None] | None = None
) -> BriefRuns:
    """The rows as a record's runs."""
    places = {arm: place for place, arm in enumerate(arms)}
    rows = scores.rows
    nothing = np.full(len(rows), np.nan)
    return BriefRuns(
        RunColumns(
            ids=[run_id(row.run, row.arm, row.seed, row.fold) for row in rows],
            arms=list(arms),
            arm=wholes([places[row.arm] for row in rows]),
            seed=np.array([row.seed for row in rows], dtype=np.int64),
            fold=wholes([row.fold or 0 for row in rows]),
            state=states_of(row.state for row in rows),
            epochs_planned=wholes([epochs for _ in rows]),
            kept_epoch=wholes([None for _ in rows]),
            epoch=wholes(kept if kept is not None else [1 if row.state == "finished" else None for row in rows]),
            accuracy=reals([row.value for row in rows]),
            loss=nothing,
            test_accuracy=nothing,
            test_loss=nothing,
        )
    )


def _runs(frame: pd.DataFrame, scores: Scores, epochs: int) -> BriefRuns:
    kept = [
        int(float(value)) if (value := str(one)) not in ("", "nan", "<NA>", "None") else None for one in frame["epoch"]
    ]
    columns = run_columns(scores, scores.arms, epochs=epochs, kept=kept)
    if "accuracy" not in frame:
        return columns
    texts = [str(one) for one in frame["accuracy"]]  # the score is by another measure
    accuracy = reals([math.nan if text in ("", "nan", "<NA>", "None") else float(text) for text in texts])
    return BriefRuns(replace(columns.columns, accuracy=accuracy))


def _check(scores: Scores, arms: list[str]) -> None:
    if unknown := [arm for arm in scores.arms if arm not in arms]:
        what = f'arm "{unknown[0]}" is none of the study that this table is of'
        fix = "judge tables of other arms without the first line, which begins with # assay"
        raise DataError(Problem(what, fix, file=scores.source))
    if scores.rows:
        check_scores(scores, [arm for arm in arms if arm in scores.arms])


def _header(text: str, source: str) -> Mapping[str, Any]:
    try:
        values = json.loads(text)
        form = values["table"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(source, "its header is no JSON") from None
    if form != FORM:
        raise DataError(Problem("a newer version of Assay wrote this table", "upgrade Assay", file=source))
    missing = {"name", "question", "source", "created", "updated", "data", "study", "arms", "looks", "epochs"} - set(
        values
    )
    if missing:
        raise _damaged(source, f"its header lacks {sorted(missing)[0]}")
    return dict(values)


def _decoded(frame: pd.DataFrame, column: str) -> list[bytes]:
    if column not in frame:
        return [b""] * len(frame)
    known: dict[str, bytes] = {}
    for text in frame[column].fillna("").astype(str).unique():
        bits = b""
        if text:
            reader = zlib.decompressobj()
            bits = reader.decompress(base64.b64decode(text, validate=True), _MOST_BYTES)
        known[text] = bits
    return [known[text] for text in frame[column].fillna("").astype(str)]


def _damaged(source: str, how: str) -> DataError:
    what = f"the first line says that Assay wrote this table, and it is not as it was written ({how[:120]})"
    return DataError(Problem(what, "export it anew (assay runs STUDY --csv), or delete that line", file=source))
