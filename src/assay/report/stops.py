"""Which arms of a study that stops when decided have stopped by themselves."""

from __future__ import annotations

from ..runner import study_standing
from ..stats import planned_looks
from ..store.records import StudyRecord
from .numbers import counted
from .scores import rule_of


def stop_sentences(study: StudyRecord) -> tuple[str, ...]:
    """A sentence for each arm that has stopped, in the order in which they did, without full stops."""
    rule = rule_of(study)
    if not rule.stop or len(study.arms) < 2:
        return ()
    looks = len(planned_looks(rule.first, rule.planned).seeds)
    return tuple(
        f"{one.arm} has stopped after {counted(one.seeds, 'seed')} (look {one.look} of {looks}): "
        + ("every run of its first batch failed" if one.outcome == "failed" else one.outcome)
        for one in study_standing(study).decisions
    )
