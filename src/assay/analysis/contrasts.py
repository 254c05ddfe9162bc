"""From scores to verdicts: arms against the first, and the effects of crossed factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..stats import (
    MIN_PAIRS,
    PLAIN,
    Effect,
    Finding,
    Outcome,
    PairedDifference,
    Ranking,
    Wording,
    effects,
    judge,
    rank_arms,
    refusal,
    sentence,
)
from ..store.records import StudyRecord
from .looks import ended_scores, finding_at_looks, study_standing
from .scores import Split, arm_scores, failed_in, ordered_arms, rule_of, varied

MAX_RANKED = 26
_Folds = dict[str, dict[int, tuple[float, ...]]]  # by arm and seed: the score of each fold


@dataclass(frozen=True)
class Contrast:
    """One arm against another, or one effect of a factor, on the seeds that have a score in all arms it needs.

    Args:
        baseline: Name of the arm, or of the level, that was subtracted: the study's first.
        arm: Name of the arm, or of the level, compared with it.
        seeds: The seeds that pair.
        differences: Arm minus baseline for each of them: fractions.
        finding: All that is known of it.
        sentence: The verdict, without its full stop. It says what varied and what was left out.
        varies: What a seed changed, among what these arms have: the interval speaks of nothing else.
        left_out: Runs that failed and seeds without a partner, in words; empty where there are none.
        effect: The effect of a factor; ``None`` where two arms are compared.
    """

    baseline: str
    arm: str
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    finding: Finding
    sentence: str
    varies: tuple[str, ...] = ()
    left_out: str = ""
    effect: Effect | None = None

    @property
    def difference(self) -> PairedDifference | None:
        """The mean difference with interval and p; ``None`` below two pairs."""
        return self.finding.difference

    @property
    def adjusted_p(self) -> float | None:
        """Its p after Holm's adjustment for every contrast of the family."""
        return None if self.finding.difference is None else self.finding.adjusted_p

    @property
    def outcome(self) -> Outcome:
        """What may be said of the arm."""
        return self.finding.outcome

    @property
    def label(self) -> str:
        """The outcome in a word; an interaction is neither better nor worse."""
        if self.effect and self.effect.is_interaction:
            return {"better": "depends", "worse": "depends", "equivalent": "alike"}.get(self.outcome, self.outcome)
        return self.outcome


@dataclass(frozen=True)
class _Row:
    """A contrast before it is judged: its value for each seed, and for each fold of a seed where there are folds."""

    a: str
    b: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    folds: tuple[tuple[float, ...], ...] = ()
    wording: Wording = PLAIN
    effect: Effect | None = None


def contrasts(study: StudyRecord, *, split: Split = "validation") -> tuple[Contrast, ...]:
    """Every arm against the first, judged as one family.

    A contrast with fewer than two pairs counts in the family, because it was planned.
    """
    names = [arm.name for arm in ordered_arms(study)]
    scores = _folds(study, split)
    return _judged(study, [_pair(scores, names[0], name, split) for name in names[1:]], split)


def contrast_of(study: StudyRecord, a: str, b: str, *, split: Split = "validation") -> Contrast:
    """Arm b against arm a, as one question of its own."""
    (contrast,) = _judged(study, [_pair(_folds(study, split), a, b, split)], split)
    return contrast


def factor_effects(
    study: StudyRecord, *, split: Split = "validation", factor: str | None = None
) -> tuple[Contrast, ...]:
    """Main effects and two-way interactions of crossed factors, judged as one family.

    Empty where the arms are not every combination of levels, and where arms may stop by themselves: then later
    seeds have no complete blocks.

    Args:
        study: Its record.
        split: Whose scores.
        factor: Only effects and interactions of this factor.
    """
    if rule_of(study).stop:
        return ()
    arms = ordered_arms(study)
    crossed = effects([arm.levels for arm in arms])
    wanted = [effect for effect in crossed if factor in (None, effect.factor, effect.by)]
    scores = _folds(study, split)
    return _judged(study, [_effect_row(scores, [arm.name for arm in arms], effect, split) for effect in wanted], split)


def blocks(study: StudyRecord, *, split: Split = "validation") -> tuple[tuple[int, ...], tuple[tuple[float, ...], ...]]:
    """The seeds on which every arm has a score, and those scores [seeds][arms]."""
    by_arm = [dict(zip(arm.seeds, arm.scores, strict=True)) for arm in arm_scores(study, split=split)]
    seeds = tuple(sorted(set.intersection(*(set(scores) for scores in by_arm)))) if by_arm else ()
    return seeds, tuple(tuple(scores[seed] for scores in by_arm) for seed in seeds)


def ranking_of(study: StudyRecord, *, split: Split = "validation") -> Ranking | None:
    """Three arms or more ranked within each seed that all of them have; ``None`` below six such seeds.

    Nor is there a ranking where arms stop by themselves: its tests would look as often, and pay for nothing. Above
    ``MAX_RANKED`` arms, every two of them would be another test.
    """
    if len(study.arms) > MAX_RANKED:
        return None
    seeds, scores = blocks(study, split=split)
    may_rank = len(study.arms) > 2 and len(seeds) >= MIN_PAIRS and not rule_of(study).stop
    return rank_arms(scores) if may_rank else None


def has_interactions(study: StudyRecord) -> bool:
    """Whether several factors are crossed, so that effects say more than arms do."""
    return not rule_of(study).stop and any(
        effect.is_interaction for effect in effects([arm.levels for arm in ordered_arms(study)])
    )


def _folds(study: StudyRecord, split: Split) -> _Folds:
    return {arm.arm: dict(zip(arm.seeds, arm.folds, strict=True)) for arm in arm_scores(study, split=split)}


def _pair(scores: _Folds, a: str, b: str, split: Split) -> _Row:
    return _Row(a, b, (a, b), *_weighted(scores, (a, b), (-1.0, 1.0), split))


def _effect_row(scores: _Folds, arms: Sequence[str], effect: Effect, split: Split) -> _Row:
    weighted = [(arm, w) for arm, w in zip(arms, effect.weights, strict=True) if w]
    needed, weights = (tuple(part) for part in zip(*weighted, strict=True))
    values = _weighted(scores, needed, weights, split)
    if not effect.is_interaction:
        a, b = f"{effect.factor} {effect.low}", f"{effect.factor} {effect.high}"
        return _Row(a, b, needed, *values, effect=effect)
    change = f"{effect.factor} {effect.low} to {effect.high}"
    wording = Wording(
        better=f"the effect of {change} is higher with {{b}} than with {{a}}, by",
        worse=f"the effect of {change} is higher with {{a}} than with {{b}}, by",
        undecided=f"from {{a}} to {{b}} the effect of {change} differs by",
        equivalent=f"in the effect of {change} between {{a}} and {{b}}",
    )
    a, b = f"{effect.by} {effect.by_low}", f"{effect.by} {effect.by_high}"
    return _Row(a, b, needed, *values, wording, effect)


def _weighted(
    by_arm: _Folds, arms: Sequence[str], weights: Sequence[float], split: Split
) -> tuple[tuple[int, ...], tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """The seeds on which all these arms have a score, the weighted sum for each, and for each of its folds.

    On the test split, folds are repetitions on the same images: their mean counts.
    """
    tables = [by_arm[arm] for arm in arms]
    seeds = tuple(sorted(set[int].intersection(*map(set, tables))))
    if not seeds:
        return (), (), ()
    scores = [np.array([table[seed] for seed in seeds]) for table in tables]  # [seeds, folds] of each arm
    folds = sum(weight * score for weight, score in zip(weights, scores, strict=True))
    assert isinstance(folds, np.ndarray)
    num_folds = folds.shape[1]
    values = sum(folds[:, fold] for fold in range(num_folds)) / num_folds
    has_folds = split == "validation" and num_folds > 1
    return seeds, tuple(values.tolist()), tuple(map(tuple, folds.tolist())) if has_folds else ()


def _judged(study: StudyRecord, rows: list[_Row], split: Split) -> tuple[Contrast, ...]:
    rule = rule_of(study)
    if rule.stop and split == "validation":
        findings = tuple(_at_looks(study, row.a, row.b) for row in rows)
    else:
        margin = None if rule.margin is None else rule.margin / 100
        findings = judge([np.array(row.folds or row.values) for row in rows], margin=margin)
    varies = varied(study)
    return tuple(_contrast(study, row, finding, varies) for row, finding in zip(rows, findings, strict=True))


def _at_looks(study: StudyRecord, a: str, b: str) -> Finding:
    """Arm b against arm a of a study that stops when decided; against the first, as its looks had it."""
    if a == ordered_arms(study)[0].name and a != b:
        return study_standing(study).findings[b]
    scores = ended_scores(study)
    return finding_at_looks(scores[a], scores[b], rule_of(study), num_contrasts=max(len(study.arms) - 1, 1))


def _contrast(study: StudyRecord, row: _Row, finding: Finding, varies: tuple[str, ...]) -> Contrast:
    left_out = _left_out(study, row)
    note = f" (left out: {left_out})" if left_out else ""
    if finding.difference is None or finding.outcome == "too few seeds":
        verdict = refusal(finding.n, num_contrasts=finding.num_contrasts, is_folds=finding.is_corrected) + note
    else:
        look = f" (look {finding.look} of {finding.num_looks})" if finding.look else ""
        folds = f", {len(row.folds)} x {len(row.folds[0])} folds" if finding.is_corrected else ""
        verdict = sentence(
            finding.outcome,
            finding.difference,
            a=row.a,
            b=row.b,
            adjusted_p=finding.adjusted_p,
            num_contrasts=finding.num_contrasts,
            near=finding.equivalence,
            more=_hint(finding),
            over=f"{folds} over {', '.join(varies) or 'nothing that varies'}{look}{note}",
            wording=row.wording,
        )
    return Contrast(row.a, row.b, row.seeds, row.values, finding, verdict, varies, left_out, row.effect)


def _hint(finding: Finding) -> str:
    """What would decide it, where nothing is decided."""
    if finding.look and finding.look == finding.num_looks:
        return "every planned seed has been run"
    if finding.is_corrected:
        return ""
    if finding.more_pairs is None:
        known = "" if finding.equivalence else "; a margin under [seeds] would let it end as no difference"
        return f"no number of seeds within reach would tell{known}"
    if finding.more_pairs > 1000:
        return "more than 1,000 more seeds would be needed"
    return f"about {finding.more_pairs} more {'seed' if finding.more_pairs == 1 else 'seeds'} would tell"


def _left_out(study: StudyRecord, row: _Row) -> str:
    """Runs of these arms that failed, and seeds that some of them were never given."""
    parts = [
        failed_in(study, arm, failed) for arm in row.arms if (failed := [r for r in study.runs_of(arm) if r.is_failed])
    ]
    planned: list[set[object]] = [{run.seed for run in study.runs_of(arm)} for arm in row.arms]
    if (alone := len(set.union(*planned) - set.intersection(*planned))) and not rule_of(study).stop:
        parts.append(f"{alone} {'seed' if alone == 1 else 'seeds'} without a partner")
    return "; ".join(parts)
