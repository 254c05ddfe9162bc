"""What looks at a study on several data sets saw of all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..stats import MIN_PAIRS, Spending
from ..stats.general import LEAST_SETS, GeneralLook, judge_general
from ..store.records import StudyRecord
from .grid import Split, grid_of
from .looks import Seen, now, planned_now
from .rows import Row, label_of, places_of, planned_rows

SHARE = 0.5  # of the 5 %: half for verdicts in general, half for those on each data set
_LEAST_ERRORS = 0.5  # of an image: an arm that errs nowhere has an error rate above 0 all the same


@dataclass(frozen=True)
class GeneralRow:
    """One question, on every data set.

    Args:
        a, b: The arms, or the levels, as they are called on each data set.
        rows: The contrast on each, by data set.
        factor: The factor whose levels they are; empty where they are arms.
    """

    a: str
    b: str
    rows: dict[str, Row]
    factor: str = ""


def general_rows(study: StudyRecord) -> tuple[GeneralRow, ...]:
    """What a study on several data sets asks in general: its contrasts of arms, or the main effects of its factors."""
    found: dict[tuple[str, str], GeneralRow] = {}
    for row in planned_rows(study) if study.sets else ():
        if row.effect is not None and row.effect.is_interaction:
            continue
        a, b = (row.a, row.b) if row.effect is not None else (label_of(study, row.a), label_of(study, row.b))
        factor = row.effect.factor if row.effect is not None else ""
        found.setdefault((a, b), GeneralRow(a, b, {}, factor)).rows[row.data] = row
    return tuple(found.values())


def has_general(study: StudyRecord) -> bool:
    """Whether there may be a verdict in general, which then has a part of the 5 %."""
    return len(study.sets) >= LEAST_SETS and bool(general_rows(study))


def general_history(
    study: StudyRecord, row: GeneralRow, looks: Sequence[Seen], split: Split = "validation"
) -> tuple[GeneralLook, ...]:
    """Every look at one question over all data sets; the last one is at what there is now.

    The planned count of seeds spends most; a look before it next to nothing; a look after it, or one at other data
    sets, a part of what is left.
    """
    first = looks[0].planned if looks else planned_now(study)
    plan, spent = Spending(first), 0.0
    seen: list[GeneralLook] = []
    before: bytes = b""
    for look in (*looks, now(study)):
        is_now = look.number == 0
        values, ended, facts = _values(study, row, look, split, is_now)
        if (seen and facts == before) or (not is_now and len(values) < LEAST_SETS):
            continue
        target = plan.spent(ended)
        if seen and target <= spent:  # other data sets, or seeds that only some have
            target = spent + (1 - spent) / 2
        seen.append(GeneralLook(values, target - spent))
        spent, before = target, facts
    return tuple(seen)


def share_of_sets(study: StudyRecord, looks: Sequence[Seen], split: Split) -> float:
    """The part of the 5 % for verdicts on each data set: half, and all where there are no others, or where these are
    all decided, so that what they had passes on."""
    if not has_general(study):
        return 1.0
    histories = [general_history(study, row, looks, split) for row in general_rows(study)]
    return 1.0 if all(finding.is_decided for finding in judge_general(histories, share=SHARE)) else SHARE


def _values(
    study: StudyRecord, row: GeneralRow, look: Seen, split: Split, is_now: bool
) -> tuple[np.ndarray, int, bytes]:
    """The logarithm of the ratio of error rates on each data set that counts, seeds that have ended on all, and what
    was seen, to be compared."""
    grid = grid_of(study)
    scores = grid.scores(split)
    values: list[float] = []
    facts: list[bytes] = []
    ended: list[int] = []
    for data, one in row.rows.items():
        places = places_of(study, one)
        if not all(arm in look.arms for arm in one.arms):
            continue
        known = np.asarray(scores.known[places].all(0))
        seeds = known if is_now and split == "test" else look.seeds(one) & known
        ended.append(look.num_ended(one))
        if int(seeds.sum()) < MIN_PAIRS:
            continue
        errors = 1 - scores.means[places][:, seeds].mean(1)
        least = _LEAST_ERRORS / max(_num_images(study, data, split), 1)
        values.append(float(np.array(one.weights) @ np.log(np.maximum(errors, least))))
        facts.append(data.encode() + seeds.tobytes())
    return np.array(values), min(ended, default=0), b"|".join(facts)


def _num_images(study: StudyRecord, data: str, split: Split) -> int:
    facts = study.data_on(data)
    return int(facts.get("num_test" if split == "test" else "num_training", 1000))
