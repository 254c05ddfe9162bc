"""From scores to verdicts: arms against the first, and the effects of crossed factors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..stats import (
    MIN_PAIRS,
    Effect,
    Finding,
    Outcome,
    PairedDifference,
    Ranking,
    groups_of,
    rank_arms,
    sentence,
)
from ..store.records import StudyRecord
from .details import details_of, hint_of, left_out_of
from .family import Judged, all_pairs, estimate, family
from .measured import measure_of
from .rows import MAX_RANKED, Row, arms_by_data, effect_rows, key_of, label_of, pair_row, worded
from .rows import has_interactions as has_interactions
from .scores import Split, arm_scores, ordered_arms, rule_of, varied

_PLAIN = ("No ", "Not ", "An ", "The ")  # beginnings of sentences that are no names


@dataclass(frozen=True)
class Contrast:
    """One arm against another, or one effect of a factor, with its verdict.

    Args:
        baseline: The arm or level that is subtracted.
        arm: The arm or level that is compared with it.
        seeds: The seeds of the pairs.
        differences: Arm minus baseline for each pair, in the measure's own scale. Accuracies are fractions.
        finding: The statistics.
        sentence: The verdict in words, without its full stop.
        details: More in words: p values, looks, what varied, what was left out.
        varies: What a seed changed for these arms.
        left_out: Failed runs and seeds without a partner, in words; empty if there are none.
        effect: The effect of a factor; ``None`` if two arms are compared.
        is_planned: Whether the study asks for this contrast. Others are estimates until all planned ones are decided.
        data: The data set, for a study on several.
    """

    baseline: str
    arm: str
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    finding: Finding
    sentence: str
    details: str = ""
    varies: tuple[str, ...] = ()
    left_out: str = ""
    effect: Effect | None = None
    is_planned: bool = True
    data: str = ""

    @property
    def difference(self) -> PairedDifference | None:
        """The mean difference with interval and p value; ``None`` below two pairs."""
        return self.finding.difference

    @property
    def adjusted_p(self) -> float | None:
        """The p value over all looks, after Holm's adjustment for the family."""
        return self.finding.adjusted_p

    @property
    def outcome(self) -> Outcome:
        """The verdict on ``arm``, as in :class:`~assay.stats.Finding`."""
        return self.finding.outcome

    @property
    def is_estimate(self) -> bool:
        """Whether this is an estimate without a verdict, because the study asks only which arm is best."""
        return self.is_planned and self.finding.share <= 0

    @property
    def label(self) -> str:
        """The outcome in a word. Interactions are ``"depends"`` or ``"alike"`` instead of better or worse."""
        if self.effect and self.effect.is_interaction:
            return {"better": "depends", "worse": "depends", "equivalent": "alike"}.get(self.outcome, self.outcome)
        if self.is_estimate:
            return "estimate"
        return self.outcome


def planned_contrasts(study: StudyRecord, *, split: Split = "validation") -> tuple[Contrast, ...]:
    """What the study asks, judged as one family: effects of crossed factors, or every arm against the first."""
    return _contrasts(study, family(study, split), split)


def contrasts(study: StudyRecord, *, split: Split = "validation") -> tuple[Contrast, ...]:
    """Every arm against the first. Where factors are crossed these are not what was planned, but estimates."""
    if not has_interactions(study):
        return planned_contrasts(study, split=split)
    pairs = {judged.row.arms: judged for judged in all_pairs(study, split)}
    rows = [
        pair_row(arms[0].name, arm.name, data) for data, arms in arms_by_data(study).items() for arm in arms[1:]
    ]  # fmt: skip
    return _contrasts(study, [pairs.get(row.arms) or estimate(study, row, split) for row in rows], split)


def contrast_of(study: StudyRecord, a: str, b: str, *, split: Split = "validation") -> Contrast:
    """Arm b against arm a, with the p that it has in the study's family."""
    for judged in (*family(study, split), *all_pairs(study, split)):
        if judged.row.effect is None and set(judged.row.arms) == {a, b}:
            (contrast,) = _contrasts(study, [judged if judged.row.a == a else _reversed(judged)], split)
            return contrast
    data = next((name for name, arms in arms_by_data(study).items() if a in [arm.name for arm in arms]), "")
    (contrast,) = _contrasts(study, [estimate(study, pair_row(a, b, data), split)], split)
    return contrast


def factor_effects(
    study: StudyRecord, *, split: Split = "validation", factor: str | None = None
) -> tuple[Contrast, ...]:
    """Main effects and two-way interactions of crossed factors, each with the p that it has in the study's family.

    Empty where the arms are not every combination of levels, and where arms may stop by themselves: then later
    seeds have no complete blocks.

    Args:
        study: Its record.
        split: Whose scores.
        factor: Only effects and interactions of this factor.
    """
    by_key = {judged.key: judged for judged in family(study, split)}
    rows = [row for row in effect_rows(study) if row.effect and factor in (None, row.effect.factor, row.effect.by)]
    # One factor's effects are its arms' contrasts, under the names of its levels.
    judged = [replace(known, row=row) for row in rows if (known := by_key.get(key_of(study, row)))]
    return _contrasts(study, judged, split)


def blocks(study: StudyRecord, *, split: Split = "validation") -> tuple[tuple[int, ...], tuple[tuple[float, ...], ...]]:
    """The seeds on which every arm has a score, and those scores [seeds][arms]."""
    by_arm = [dict(zip(arm.seeds, arm.scores, strict=True)) for arm in arm_scores(study, split=split)]
    seeds = tuple(sorted(set.intersection(*(set(scores) for scores in by_arm)))) if by_arm else ()
    return seeds, tuple(tuple(scores[seed] for scores in by_arm) for seed in seeds)


def ranking_of(study: StudyRecord, *, split: Split = "validation") -> Ranking | None:
    """Three arms or more ranked within each seed that all of them have; ``None`` below six such seeds.

    Nor is there a ranking where arms stop by themselves, or of more than ``MAX_RANKED`` arms. Arms are grouped by the
    study's own verdicts on every two of them.
    """
    if study.sets or len(study.arms) > MAX_RANKED or len(study.arms) < 3 or rule_of(study).stop:
        return None
    seeds, scores = blocks(study, split=split)
    if len(seeds) < MIN_PAIRS:
        return None
    ranking = rank_arms(scores, higher_is_better=measure_of(study).higher_is_better)
    planned = family(study, split)
    if ranking.needed is not None:
        return ranking
    if not all(judged.finding.outcome in ("better", "worse") for judged in planned):
        note = "Arms are joined by verdicts on every two of them, which come once all planned comparisons are decided"
        return replace(ranking, groups=(), note=note)
    names = [arm.name for arm in ordered_arms(study)]
    different = [
        (names.index(judged.row.arms[0]), names.index(judged.row.arms[1]))
        for judged in (*planned, *all_pairs(study, split))
        if judged.row.effect is None and judged.finding.outcome in ("better", "worse")
    ]
    return replace(ranking, groups=groups_of(ranking.mean_ranks, different))


def _reversed(judged: Judged) -> Judged:
    """The same contrast seen from its other arm."""
    row, finding = judged.row, judged.finding
    turned = Row(row.b, row.a, row.arms, tuple(-w for w in row.weights), data=row.data)
    return replace(judged, row=turned, finding=finding.reversed())


def _contrasts(study: StudyRecord, judged: Iterable[Judged], split: Split) -> tuple[Contrast, ...]:
    return tuple(_contrast(study, one, split) for one in judged)


def _contrast(study: StudyRecord, judged: Judged, split: Split) -> Contrast:
    row, finding, history = judged.row, judged.finding, judged.history
    sign = 1.0 if row.effect is not None or row.weights[0] < 0 else -1.0
    last = history.now.values
    values = tuple((sign * (last if last.ndim == 1 else last.mean(1))).tolist())
    left_out = left_out_of(study, row)
    seeds = f"{len(last)} x {last.shape[1]} folds" if finding.is_corrected else ""
    a, b = (row.a, row.b) if row.effect is not None else (label_of(study, row.a), label_of(study, row.b))
    measure, unit = measure_of(study), measure_of(study).unit
    text = sentence(
        finding,
        a=a,
        b=b,
        seeds=seeds,
        wording=worded(row, measure),
        unit=unit.name,
        scale=unit.scale,
        decimals=unit.decimals,
    )
    if row.data:
        text = f"On {row.data}, {text[0].lower() if text.startswith(_PLAIN) else text[0]}{text[1:]}"
    if hint := hint_of(study, judged, split):
        text = f"{text}. {hint[:1].upper()}{hint[1:]}"
    return Contrast(
        row.a, row.b, judged.seeds, values, finding, text, details_of(study, judged, split, left_out),
        varied(study), left_out, row.effect, judged.is_planned, row.data,
    )  # fmt: skip
