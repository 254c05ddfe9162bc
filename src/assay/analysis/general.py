"""Verdicts over all data sets of a study on several."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from ..stats.general import LEAST_SETS as LEAST_SETS
from ..stats.general import GeneralFinding, general_advice, general_sentence, judge_general
from ..stats.general import few_sets as few_sets
from ..store.records import StudyRecord
from .family import family, lineage
from .general_looks import SHARE, GeneralRow, general_history, general_rows, has_general
from .grid import Split


@dataclass(frozen=True)
class General:
    """One comparison over all data sets of a study.

    Args:
        baseline: The arm or level that others are compared with.
        arm: The arm or level that is compared with it.
        finding: The statistics.
        sentence: The verdict in words, without its full stop.
        by_data: The outcome on each data set, by its name.
        details: More in words, without its full stop.
    """

    baseline: str
    arm: str
    finding: GeneralFinding
    sentence: str
    by_data: dict[str, str]
    details: str = ""

    @property
    def outcome(self) -> str:
        """The verdict on ``arm``."""
        return self.finding.outcome

    @property
    def tally(self) -> str:
        """How often each outcome occurs on single data sets, in words."""
        counts = Counter(self.by_data.values())
        parts = [f"{outcome} on {count}" for outcome, count in counts.most_common()]
        return f"of {len(self.by_data)} data sets by themselves, {', '.join(parts)}"

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "a": self.baseline,
            "b": self.arm,
            "outcome": self.outcome,
            "sentence": self.sentence,
            "details": self.details,
            "by_data": self.by_data,
            "finding": asdict(self.finding),
        }


def general_verdicts(study: StudyRecord, split: Split = "validation") -> tuple[General, ...]:
    """Every question of a study on several data sets, over all of them; none for any other study.

    Verdicts in general have half of the 5 %, and all of it once every verdict on the single data sets has a direction.
    """
    key = (general_verdicts, split)
    if key not in study.cached:
        rows = general_rows(study)
        judged = (
            {(one.row.data, one.row.arms, one.row.effect): one.finding for one in family(study, split)} if rows else {}
        )
        all_decided = bool(judged) and all(one.outcome in ("better", "worse") for one in judged.values())
        looks = lineage(study).looks if rows else ()
        histories = [general_history(study, row, looks, split) for row in rows]
        share = 1.0 if all_decided or not has_general(study) else SHARE
        findings = judge_general(histories, share=share) if rows else ()
        study.cached[key] = tuple(
            _general(row, finding, {
                data: judged[data, one.arms, one.effect].outcome for data, one in row.rows.items()
            })
            for row, finding in zip(rows, findings, strict=True)
        )  # fmt: skip
    result: tuple[General, ...] = study.cached[key]
    return result


def _general(row: GeneralRow, finding: GeneralFinding, by_data: dict[str, str]) -> General:
    details = []
    if finding.adjusted_p is not None:
        p = "< 0.0001" if finding.adjusted_p < 0.0001 else f"{finding.adjusted_p:.2g}"
        half = ", with half of the 5 % of false calls" if finding.share < 1 else ""
        details.append(f"p {p} over data sets{half}")
    if finding.rank_p is not None:
        details.append(f"signed ranks {finding.rank_p:.2g}")
    if finding.n:
        details.append(f"fewer errors on {finding.num_better} of {finding.n}")
    details.append("speaks of other data sets like these")
    if advice := general_advice(finding):
        details.append(advice)
    sentence = general_sentence(finding, a=row.a, b=row.b)
    return General(row.a, row.b, finding, sentence, by_data, "; ".join(details))
