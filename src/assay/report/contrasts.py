"""From a study's record to its scores and contrasts: arms against the first, and the effects of crossed factors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..spec.seeds import Seeds
from ..stats import (
    MIN_PAIRS,
    PLAIN,
    Effect,
    Finding,
    Interval,
    Outcome,
    PairedDifference,
    Ranking,
    Wording,
    effects,
    judge,
    judge_looks,
    mean_interval,
    planned_looks,
    rank_arms,
    refusal,
    sentence,
)
from ..store.records import ArmRecord, RunRecord, StudyRecord

Split = Literal["validation", "test"]

LEAKY = (
    "Leaky: the validation images are the test images, as in the published protocol that this study repeats. "
    "Whatever was chosen by these figures was chosen on the test."
)


@dataclass(frozen=True)
class ArmScores:
    """The accuracy of an arm with every seed that has one; with folds, the mean of all of the seed's folds.

    Args:
        arm: The arm's name.
        seeds: The seeds that have a score.
        scores: Their accuracies, in the same order: fractions.
        interval: Mean and 95 % interval; ``None`` below two scores.
        num_runs: Seeds planned for the arm, with a score or not.
        folds: What each score is the mean of, in the order of the folds; one number where there are no folds.
    """

    arm: str
    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    interval: Interval | None
    num_runs: int
    folds: tuple[tuple[float, ...], ...] = ()

    @property
    def n(self) -> int:
        return len(self.scores)

    @property
    def mean(self) -> float | None:
        return sum(self.scores) / self.n if self.scores else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation between seeds (n - 1); ``None`` below two scores."""
        if self.n < 2:
            return None
        mean = sum(self.scores) / self.n
        return math.sqrt(sum((score - mean) ** 2 for score in self.scores) / (self.n - 1))


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


def ordered_arms(study: StudyRecord) -> tuple[ArmRecord, ...]:
    """The arms in the study's order; the first is what the others are compared with."""
    return tuple(sorted(study.arms, key=lambda arm: arm.position))


def score_of(run: RunRecord, split: Split) -> float | None:
    """A finished run's accuracy after the epoch that it kept; ``None`` where there is none, or none yet."""
    if run.state != "finished":
        return None
    score = run.test_accuracy if split == "test" else run.kept.validation_accuracy if run.kept else None
    return score if score is not None and math.isfinite(score) else None


def counted_epoch(study: StudyRecord) -> str:
    """After which epoch scores are taken, for a sentence."""
    metrics = {_kept_by(arm) for arm in study.arms}
    if metrics <= {None}:
        return "after the last epoch"
    named = [str(metric).replace("_", " ") for metric in sorted(filter(None, metrics))]
    best = f"after the epoch with the best {' or '.join(named)}"
    return f"{best}, or the last" if None in metrics else best


def is_epoch_chosen_by_score(study: StudyRecord) -> bool:
    """Whether an arm's runs keep the epoch that was best on the validation images."""
    return any((_kept_by(arm) or "").startswith("validation") for arm in study.arms)


def _kept_by(arm: ArmRecord) -> str | None:
    keep = arm.spec.get("training", {}).get("keep", "last")
    return keep["best"] if isinstance(keep, dict) else None


def arm_scores(study: StudyRecord, *, split: Split = "validation") -> tuple[ArmScores, ...]:
    """The scores of every arm, in the study's order."""
    return tuple(_scores(study, arm.name, split) for arm in ordered_arms(study))


def contrasts(study: StudyRecord, *, split: Split = "validation") -> tuple[Contrast, ...]:
    """Every arm against the first, judged as one family.

    A contrast with fewer than two pairs counts in the family, because it was planned.
    """
    names = [arm.name for arm in ordered_arms(study)]
    return _judged(study, [_pair(study, names[0], name, split) for name in names[1:]], split)


def contrast_of(study: StudyRecord, a: str, b: str, *, split: Split = "validation") -> Contrast:
    """Arm b against arm a, as one question of its own."""
    (found,) = _judged(study, [_pair(study, a, b, split)], split)
    return found


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
    found = effects([arm.levels for arm in arms])
    wanted = [effect for effect in found if factor in (None, effect.factor, effect.by)]
    return _judged(study, [_effect_row(study, effect, split) for effect in wanted], split)


def blocks(study: StudyRecord, *, split: Split = "validation") -> tuple[tuple[int, ...], tuple[tuple[float, ...], ...]]:
    """The seeds on which every arm has a score, and those scores [seeds][arms]."""
    by_arm = [_by_seed(arm) for arm in arm_scores(study, split=split)]
    seeds = tuple(sorted(set.intersection(*(set(scores) for scores in by_arm)))) if by_arm else ()
    return seeds, tuple(tuple(scores[seed] for scores in by_arm) for seed in seeds)


def ranking_of(study: StudyRecord, *, split: Split = "validation") -> Ranking | None:
    """Three arms or more ranked within each seed that all of them have; ``None`` below six such seeds.

    Nor is there a ranking where arms stop by themselves: its tests would look as often, and pay for nothing.
    """
    seeds, scores = blocks(study, split=split)
    may_rank = len(study.arms) > 2 and len(seeds) >= MIN_PAIRS and not rule_of(study).stop
    return rank_arms(scores) if may_rank else None


def rule_of(study: StudyRecord) -> Seeds:
    """The study's replicates: how many, what varies, when it stops."""
    return Seeds.of(study.spec.get("seeds", {}))


def varied(study: StudyRecord) -> tuple[str, ...]:
    """What a seed changes, among what the study's arms have: no dropout stream without dropout layers."""
    specs = [arm.spec for arm in study.arms]
    has_dropout = any("dropout" in str(line) for spec in specs for line in spec.get("layers", ()))
    has_augmentation = any(spec.get("training", {}).get("augmentation") for spec in specs)
    unused = {stream for stream, has in (("dropout", has_dropout), ("augment", has_augmentation)) if not has}
    return tuple(stream for stream in rule_of(study).vary if stream not in unused)


def failures(study: StudyRecord) -> tuple[RunRecord, ...]:
    """The runs that ended without a score, in the study's order."""
    position = {arm.name: arm.position for arm in study.arms}
    failed = (run for run in study.runs if run.is_failed)
    return tuple(sorted(failed, key=lambda run: (position.get(run.arm, len(position)), run.seed)))


def failure_sentence(study: StudyRecord) -> str:
    """What a verdict must mention: the runs that have no score because they failed. Empty where none did."""
    failed = failures(study)
    if not failed:
        return ""
    parts = [
        _failed_in(study, arm, [run for run in failed if run.arm == arm])
        for arm in dict.fromkeys(r.arm for r in failed)
    ]
    have = "1 run has" if len(failed) == 1 else f"{len(failed)} runs have"
    return f"{have} no score and no part in these figures: {'; '.join(parts)}"


def _scores(study: StudyRecord, arm: str, split: Split) -> ArmScores:
    by_seed: dict[int, list[float | None]] = {}
    for run in study.runs_of(arm):
        by_seed.setdefault(run.seed, []).append(score_of(run, split))
    # A seed that lacks a fold has no score: the mean of the others would be of other images.
    whole = {seed: tuple(s for s in scores if s is not None) for seed, scores in by_seed.items() if None not in scores}
    scores = tuple(sum(folds) / len(folds) for folds in whole.values())
    interval = mean_interval(scores) if len(scores) > 1 else None
    return ArmScores(arm, tuple(whole), scores, interval, len(by_seed), tuple(whole.values()))


def _by_seed(arm: ArmScores) -> dict[int, float]:
    return dict(zip(arm.seeds, arm.scores, strict=True))


def _pair(study: StudyRecord, a: str, b: str, split: Split) -> _Row:
    by_name = {arm.arm: arm for arm in arm_scores(study, split=split)}
    first, second = by_name[a], by_name[b]
    scores, others = _by_seed(first), _by_seed(second)
    seeds = tuple(sorted(scores.keys() & others.keys()))
    differences = tuple(others[seed] - scores[seed] for seed in seeds)
    ones, twos = (dict(zip(arm.seeds, arm.folds, strict=True)) for arm in (first, second))
    folds = tuple(
        tuple(two - one for one, two in zip(ones[seed], twos[seed], strict=True))
        for seed in seeds
        if len(ones[seed]) > 1
    )
    return _Row(a, b, (a, b), seeds, differences, folds)


def _effect_row(study: StudyRecord, effect: Effect, split: Split) -> _Row:
    needed = [arm.name for arm, weight in zip(ordered_arms(study), effect.weights, strict=True) if weight]
    weights = [weight for weight in effect.weights if weight]
    by_name = {arm.arm: _by_seed(arm) for arm in arm_scores(study, split=split)}
    seeds = tuple(sorted(set.intersection(*(set(by_name[name]) for name in needed))))
    values = tuple(
        sum(weight * by_name[name][seed] for name, weight in zip(needed, weights, strict=True)) for seed in seeds
    )
    if effect.is_interaction:
        change = f"{effect.factor} {effect.low} to {effect.high}"
        wording = Wording(
            better=f"the effect of {change} is higher with {{b}} than with {{a}}, by",
            worse=f"the effect of {change} is higher with {{a}} than with {{b}}, by",
            undecided=f"from {{a}} to {{b}} the effect of {change} differs by",
            equivalent=f"in the effect of {change} between {{a}} and {{b}}",
        )
        a, b = f"{effect.by} {effect.by_low}", f"{effect.by} {effect.by_high}"
        return _Row(a, b, tuple(needed), seeds, values, (), wording, effect)
    return _Row(
        f"{effect.factor} {effect.low}",
        f"{effect.factor} {effect.high}",
        tuple(needed),
        seeds,
        values,
        (),
        PLAIN,
        effect,
    )


def _judged(study: StudyRecord, rows: list[_Row], split: Split) -> tuple[Contrast, ...]:
    rule = rule_of(study)
    margin = None if rule.margin is None else rule.margin / 100
    if rule.stop and split == "validation":
        looks = planned_looks(rule.first, rule.planned)
        findings: tuple[Finding, ...] = tuple(
            judge_looks(
                row.seeds, row.values, looks,
                num_ended=_num_ended(study, row.arms), num_contrasts=max(len(study.arms) - 1, 1), margin=margin,
            )
            for row in rows
        )  # fmt: skip
    else:
        findings = judge([np.array(row.folds or row.values) for row in rows], margin=margin)
    varies = varied(study)
    return tuple(_contrast(study, row, found, varies) for row, found in zip(rows, findings, strict=True))


def _num_ended(study: StudyRecord, arms: tuple[str, ...]) -> int:
    """Seeds 0 to this have ended in every one of these arms, finished or failed."""
    ended = [{run.seed for run in study.runs_of(arm) if run.state == "finished" or run.is_failed} for arm in arms]
    count = 0
    while all(count in seeds for seeds in ended):
        count += 1
    return count


def _contrast(study: StudyRecord, row: _Row, found: Finding, varies: tuple[str, ...]) -> Contrast:
    left_out = _left_out(study, row)
    told_out = f" (left out: {left_out})" if left_out else ""
    if found.difference is None or found.outcome == "too few seeds":
        said = refusal(found.n, num_contrasts=found.num_contrasts) + told_out
    else:
        look = f" (look {found.look} of {found.num_looks})" if found.look else ""
        folds = f", {len(row.folds)} x {len(row.folds[0])} folds" if found.is_corrected else ""
        said = sentence(
            found.outcome,
            found.difference,
            a=row.a,
            b=row.b,
            adjusted_p=found.adjusted_p,
            num_contrasts=found.num_contrasts,
            near=found.equivalence,
            more=_hint(found),
            over=f"{folds} over {', '.join(varies) or 'nothing that varies'}{look}{told_out}",
            wording=row.wording,
        )
    return Contrast(row.a, row.b, row.seeds, row.values, found, said, varies, left_out, row.effect)


def _hint(found: Finding) -> str:
    """What would tell, where nothing is decided."""
    if found.look and found.look == found.num_looks:
        return "every planned seed has been run"
    if found.is_corrected:
        return ""
    if found.more_pairs is None:
        known = "" if found.equivalence else "; a margin under [seeds] would let it end as no difference"
        return f"no number of seeds within reach would tell{known}"
    if found.more_pairs > 1000:
        return "more than 1,000 more seeds would be needed"
    return f"about {found.more_pairs} more {'seed' if found.more_pairs == 1 else 'seeds'} would tell"


def _left_out(study: StudyRecord, row: _Row) -> str:
    """Runs of these arms that failed, and seeds that some of them were never given."""
    parts = [
        _failed_in(study, arm, failed) for arm in row.arms if (failed := [r for r in study.runs_of(arm) if r.is_failed])
    ]
    planned: list[set[object]] = [{run.seed for run in study.runs_of(arm)} for arm in row.arms]
    if (alone := len(set.union(*planned) - set.intersection(*planned))) and not rule_of(study).stop:
        parts.append(f"{alone} {'seed' if alone == 1 else 'seeds'} without a partner")
    return "; ".join(parts)


def _failed_in(study: StudyRecord, arm: str, failed: Sequence[RunRecord]) -> str:
    states = sorted({run.state for run in failed})
    how = " or ".join("ran out of memory" if state == "out of memory" else state for state in states)
    return f"{len(failed)} of {len(study.runs_of(arm))} of {arm} {how}"
