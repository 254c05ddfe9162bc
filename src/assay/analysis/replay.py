"""A study as an earlier look saw it, replayed from its runs: looks that earlier versions recorded hold no p values."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np

from ..errors import StoreError
from ..store.columns import BriefRuns
from ..store.records import StudyRecord
from .family import family
from .grid import grid_of
from .look_record import p_values_of
from .looks import looks_of
from .rows import arm_ids


def p_values_at(study: StudyRecord, number: int) -> dict[str, float]:
    """By contrast's key, the p that its outcome rested on at a look: of contrasts whose arms are still what they were.

    Args:
        study: Its record.
        number: Of the look, from 1.
    """
    seen, grid, ids = looks_of(study)[number - 1], grid_of(study), arm_ids(study)
    columns = study.columns
    kept = np.zeros(len(columns), dtype=bool)
    for name, arm in seen.arms.items():
        if ids.get(name) == arm.id:
            is_arm = columns.arm == [*columns.arms].index(name) if name in columns.arms else kept
            kept |= is_arm & np.isin(columns.seed, grid.seeds[arm.ended])
    earlier = replace(study, runs=BriefRuns(columns.only(kept)), verdict_looks=study.verdict_looks[:number])
    with contextlib.suppress(StoreError):  # a run that had a score then and is trained anew now
        return p_values_of(family(earlier))
    return {}
