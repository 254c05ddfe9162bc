"""A study's record as a table of scores that carries all that its verdicts depend on."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.grid import ordered_arms
from ..analysis.measured import run_values
from ..analysis.scores import score_of
from ..store.records import StudyRecord
from .measure import as_values

if TYPE_CHECKING:
    import pandas as pd

FORM = 1  # of such tables
ATTRIBUTE = "assay"  # of a frame, which holds the header
HEADER = "# assay "  # begins the first line of a file, before the header


def score_frame(study: StudyRecord) -> pd.DataFrame:
    """One row a run: arm, seed, fold (where there are folds), score (validation accuracy, a fraction, or the study's
    own measure), state, reason, a column for each factor, the run's id, and which images it was validated on and gets
    right, as packed bits; by another measure than accuracy also its predictions.

    ``attrs["assay"]`` holds what else verdicts depend on, as JSON: the study's design, its data, and the looks that
    were taken at its verdicts. ``judge`` of this frame, or of the file that ``table_text`` makes of it, gives the
    verdicts that the study itself gives.
    """
    import pandas as pd

    factors = list(dict.fromkeys(factor for arm in ordered_arms(study) for factor in arm.levels))
    has_folds = any(run.fold for run in study.runs)
    names = {name for name, _ in study.validation_hits.values()}
    packed = {name: _text(_bits(study.image_sets[name])) for name in names}
    is_of_accuracy = study.design.metric is None
    values = dict(zip(study.columns.ids, run_values(study, "validation").tolist(), strict=True))
    kept = {} if is_of_accuracy else _predictions(study)
    rows: list[dict[str, Any]] = []
    for arm in ordered_arms(study):
        levels = {f"factor.{factor}": arm.levels.get(factor) for factor in factors}
        for run in study.runs_of(arm.name):
            images, hits = study.validation_hits.get(run.id, ("", b""))
            is_scored = score_of(run) is not None
            rows.append(
                {
                    "arm": arm.name, "seed": run.seed, **({"fold": run.fold} if has_folds else {}),
                    "score": values[run.id] if is_scored else None, "state": run.state, "reason": run.reason, **levels,
                    "epoch": run.kept.epoch if run.kept else None, "run": run.id, "images": packed.get(images, ""),
                    "hits": _text(hits) if hits else "",
                    **({} if is_of_accuracy else {"accuracy": score_of(run), "predictions": kept.get(run.id, "")}),
                }
            )  # fmt: skip
    frame = pd.DataFrame(rows)
    if rows:
        frame["score"] = frame["score"].astype("float64")
        frame["epoch"] = frame["epoch"].astype("Int64")
    frame.attrs[ATTRIBUTE] = json.dumps(header_of(study), allow_nan=False)
    return frame


def table_text(frame: pd.DataFrame) -> str:
    """A frame of ``score_frame`` as a CSV file, whose first line, a comment, holds what its ``attrs`` do."""
    return f"{HEADER}{frame.attrs[ATTRIBUTE]}\n{frame.to_csv(index=False, lineterminator=chr(10))}"


def header_of(study: StudyRecord) -> dict[str, Any]:
    """What verdicts depend on besides the runs, as JSON values."""
    return {
        "table": FORM,
        "name": study.name,
        "question": study.question,
        "source": study.source,
        "created": study.created,
        "updated": study.updated,
        "data": study.data,
        "study": study.spec,
        "arms": [asdict(arm) for arm in ordered_arms(study)],
        "looks": [asdict(look) for look in study.verdict_looks],
        "measure": None if study.judged_by is None else as_values(study.judged_by),
        "epochs": int(study.columns.epochs_planned.max(initial=0)),
    }


def _predictions(study: StudyRecord) -> dict[str, str]:
    """By run, what it says of its images: a measure other than accuracy is computed from that."""
    given = study.predictions(list(study.columns.ids), "validation")
    return {run: _text(json.dumps(kept.to_json()).encode()) for run, _, kept in given}


def _bits(indices: np.ndarray) -> bytes:
    mask = np.zeros(int(indices[-1]) + 1, dtype=bool)
    mask[indices] = True
    return np.packbits(mask).tobytes()


def _text(bits: bytes) -> str:
    return base64.b64encode(zlib.compress(bits, 9)).decode("ascii")
