"""What stands one level below a verdict: p, looks, what varied, what was left out, what would decide it."""

from __future__ import annotations

import math

import numpy as np

from ..measures import Unit
from ..numerals import counted, fixed, p_value, percent
from ..stats import BadRuns, advice
from ..store.records import StudyRecord
from .family import Judged
from .general_looks import SHARE
from .grid import Split, grid_of
from .image_spread import lacks_images
from .measured import measure_of
from .rows import Row, places_of
from .scores import chance_of, failed_in, rule_of, varied


def hint_of(study: StudyRecord, judged: Judged, split: Split) -> str:
    """What would decide a contrast that is undecided, or when its verdict is due, without a full stop."""
    finding, ended = judged.finding, judged.history.now.ended
    if finding.outcome not in ("undecided", "too few seeds") or not judged.is_planned or finding.share <= 0:
        return ""
    if finding.outcome == "undecided" and rule_of(study).stop and ended >= rule_of(study).planned:
        return "every planned seed has been run"
    if 0 < ended < judged.planned and not rule_of(study).stop:
        return (
            f"the verdict is planned at {counted(judged.planned, 'seed')}, of which {ended} "
            f"{'has' if ended == 1 else 'have'} ended"
        )
    hint = advice(finding, split=split)
    return hint.replace("a margin under [seeds]", "a margin") if study.source else hint


def details_of(study: StudyRecord, judged: Judged, split: Split, left_out: str) -> str:
    """A contrast's evidence as phrases between semicolons, without a full stop."""
    finding, row, unit = judged.finding, judged.row, measure_of(study).unit
    if finding.difference is not None:
        unit = unit.within(finding.difference.low, finding.difference.high)
    parts = []
    if finding.adjusted_p is not None and finding.share > 0:
        holm = f" after Holm over {finding.num_contrasts} comparisons" if finding.num_contrasts > 1 else ""
        parts.append(f"p {p_value(finding.adjusted_p)}{holm}")
    if finding.equivalence_p is not None:
        parts.append(f"equivalence p {p_value(finding.equivalence_p)}")
    parts.append(_looks(study, judged))
    if study.sets and finding.share == SHARE:
        parts.append("with half of the 5 % of false calls, since the other half is for verdicts in general")
    elif 0 < finding.share < 1:
        parts.append(f"added after the first verdict, with {100 * finding.share:.0f} % of the 5 % of false calls")
    parts.append(f"over {', '.join(varied(study)) or 'nothing that varies'}")
    if finding.effect_size is not None:
        parts.append(f"effect size {fixed(finding.effect_size, 2)}")
    if finding.superiority and finding.num_ties < finding.n:
        wins = finding.superiority
        is_interaction = row.effect is not None and row.effect.is_interaction
        direction = "higher" if measure_of(study).higher_is_better else "lower"
        who = f"{direction} with {row.b}" if is_interaction else f"{row.b} wins"
        parts.append(f"{who} on {100 * wins.mean:.0f} % of seeds [{100 * wins.low:.0f}, {100 * wins.high:.0f}]")
    if finding.simultaneous:
        both = finding.simultaneous
        ends = f"{unit.number(both.low)} to {unit.number(both.high)}"
        parts.append(f"for all {finding.num_contrasts} together {ends}")
    if finding.bootstrap:
        parts.append(f"BCa bootstrap {unit.number(finding.bootstrap.low)} to {unit.number(finding.bootstrap.high)}")
    if finding.smallest is not None and not finding.is_decided:
        parts.append(f"this look could find {unit.amount(finding.smallest)}")
    parts.append(_claim(study, judged, split))
    if finding.margin_power is not None and not finding.is_decided:
        parts.append(
            f"a difference as large as the margin would be called in {percent(finding.margin_power, 0)} of such studies"
        )
    if finding.bad_runs is not None:
        text = _bad_runs(finding.bad_runs, unit)
        if study.source and chance_of(study) is None:  # nothing says which accuracy is a guesser's
            text = text.replace("no run failed or collapsed", "no run failed, and collapsed ones were not looked for")
        parts.append(text)
    if left_out:
        parts.append(f"left out of the mean: {left_out}")
    return "; ".join(filter(None, parts))


def _bad_runs(runs: BadRuns, unit: Unit) -> str:
    """A robust estimate where runs went wrong; how often they still may where none did."""
    if not runs.n:
        return ""
    if not (runs.a or runs.b):
        return f"no run failed or collapsed (a rate up to {100 * runs.bound:.0f} % is possible)"
    if runs.typical is None:
        return ""
    low, high = (
        unit.number(end) if math.isfinite(end) else "no limit" for end in (runs.typical.low, runs.typical.high)
    )
    return f"typical difference {unit.number(runs.typical.estimate)} [{low}, {high}], bad runs as the lowest"


def _claim(study: StudyRecord, judged: Judged, split: Split) -> str:
    """Of what the interval speaks."""
    if lacks_images(study, judged.row, np.searchsorted(grid_of(study).seeds, judged.seeds), split):
        return "speaks of these images only, because runs lack per-image results (assay run evaluates them)"
    if study.design.claimed == "new training sets":
        return "speaks of new training sets, if one moves the difference little beside a seed (Nadeau and Bengio 2003)"
    return f"speaks of {study.design.claimed}"


def left_out_of(study: StudyRecord, row: Row) -> str:
    """Runs of these arms that failed, and seeds that some of them were never given."""
    parts = list(filter(None, (failed_in(study, arm) for arm in row.arms)))
    is_planned = grid_of(study).is_planned[places_of(study, row)].any(2)
    alone = int((is_planned.any(0) & ~is_planned.all(0)).sum())
    if alone and not rule_of(study).stop:
        parts.append(f"{counted(alone, 'seed')} without a partner")
    return "; ".join(parts)


def _looks(study: StudyRecord, judged: Judged) -> str:
    """How the verdict was reached: at which pairs it was looked at."""
    finding = judged.finding
    if not finding.looks:
        return ""
    if rule_of(study).stop:
        at = f", decided at look {finding.decided_at}" if finding.decided_at else ""
        return f"{counted(len(finding.looks), 'look')} up to {counted(finding.looks[-1], 'pair')}{at}"
    planned = judged.planned
    early = [pairs for pairs in finding.looks[:-1] if pairs < planned]
    later = [pairs for pairs in finding.looks if pairs > planned]
    text = f"planned at {counted(planned, 'seed')}"
    if early:
        text += f", looked at before at {_listed(early)}"
    if later:
        text += f", looked at again at {_listed(later)}"
    if finding.decided_at and len(finding.looks) > 1:
        text += f", decided at {finding.looks[finding.decided_at - 1]}"
    return text


def _listed(numbers: list[int]) -> str:
    """Numbers in words, of many the first and the last ones."""
    if len(numbers) > 5:
        return f"{numbers[0]}, {numbers[1]} ... {numbers[-1]} ({len(numbers)} times)"
    return ", ".join(map(str, numbers))
