"""Claims that an earlier look showed and that no longer stand."""

from __future__ import annotations

from datetime import UTC, datetime

from ..stats import DECIDED
from ..store.records import StudyRecord
from .family import family
from .look_record import OUTCOMES, race_key
from .looks import looks_of
from .scores import rule_of
from .standings import study_standing

_TURNED = {"better": "worse", "worse": "better"}


def fallen_sentences(study: StudyRecord) -> tuple[str, ...]:
    """A sentence for each decided verdict that was shown and is no longer given, without full stops."""
    claimed: dict[str, tuple[int, str, str]] = {}
    for look in looks_of(study):
        for key, (outcome, label) in look.outcomes.items():
            if outcome in DECIDED:
                claimed[key] = (look.number, outcome, label)
    race = study_standing(study).race if rule_of(study).stop else None
    now: dict[str, tuple[str, str]] = {
        one.key: (one.finding.outcome, f"{one.row.b} against {one.row.a}") for one in family(study)
    }
    if race is not None:
        now = {race_key(study): (OUTCOMES[race.outcome], race.label)}
    sentences = []
    for key, (number, outcome, label) in claimed.items():
        current, current_label = now.get(key, ("", ""))
        # Where arms were put in another order, better is now worse of the other arm.
        if current == outcome or (current_label != label and current == _TURNED.get(outcome)):
            continue
        day = datetime.fromtimestamp(study.verdict_looks[number - 1].time, UTC).strftime("%Y-%m-%d")
        what = f"Look {number} ({day}) called {label} {outcome}"
        why = (
            f"it {'has' if current == 'too few seeds' else 'is'} {current} now"
            if key in now
            else "the study has changed since, and no longer asks that"
        )
        sentences.append(f"{what}; {why}")
    return tuple(sentences)
