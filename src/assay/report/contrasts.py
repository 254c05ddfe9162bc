"""From a study's record to its scores and contrasts: every arm against the first."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from ..stats import (
    Interval,
    Outcome,
    PairedDifference,
    holm,
    mean_interval,
    outcome,
    paired_difference,
    refusal,
    verdict,
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
    """One arm against the study's first, on the seeds that have a score in both.

    Args:
        baseline: Name of the study's first arm.
        arm: Name of the arm compared with it.
        seeds: The seeds that pair.
        differences: Arm minus baseline for each of them: fractions.
        difference: Their mean with interval and p; ``None`` below two pairs.
        adjusted_p: Its p after Holm's adjustment for every contrast of the study.
        outcome: What may be said of the arm.
        sentence: The verdict, without its full stop.
    """

    baseline: str
    arm: str
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    difference: PairedDifference | None
    adjusted_p: float | None
    outcome: Outcome
    sentence: str


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
    """Every arm against the first, with Holm's adjustment for all of them.

    A contrast without a p value (fewer than two pairs) counts in the adjustment with p = 1, because it was planned.
    """
    by_arm = [dict(zip(arm.seeds, arm.scores, strict=True)) for arm in arm_scores(study, split=split)]
    names = [arm.name for arm in ordered_arms(study)]
    pairs = [sorted(by_arm[0].keys() & arm.keys()) for arm in by_arm[1:]]
    differences = [
        paired_difference([by_arm[0][seed] for seed in seeds], [arm[seed] for seed in seeds])
        if len(seeds) > 1
        else None
        for arm, seeds in zip(by_arm[1:], pairs, strict=True)
    ]
    adjusted = holm([1.0 if difference is None else difference.p_value for difference in differences])
    return tuple(
        _contrast(
            names[0],
            name,
            tuple((seed, arm[seed] - by_arm[0][seed]) for seed in seeds),
            difference,
            float(p),
            len(pairs),
        )
        for name, arm, seeds, difference, p in zip(names[1:], by_arm[1:], pairs, differences, adjusted, strict=True)
    )


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
    parts = []
    for arm, count in Counter(run.arm for run in failed).items():
        states = sorted({run.state for run in failed if run.arm == arm})
        how = " or ".join("ran out of memory" if state == "out of memory" else state for state in states)
        parts.append(f"{count} of {len(study.runs_of(arm))} of {arm} {how}")
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


def _contrast(
    baseline: str,
    arm: str,
    pairs: tuple[tuple[int, float], ...],
    difference: PairedDifference | None,
    adjusted_p: float,
    num_contrasts: int,
) -> Contrast:
    seeds, values = tuple(seed for seed, _ in pairs), tuple(value for _, value in pairs)
    if difference is None:
        sentence = refusal(len(pairs), num_contrasts=num_contrasts)
        return Contrast(baseline, arm, seeds, values, None, None, "too few seeds", sentence)
    found = outcome(difference, adjusted_p=adjusted_p, num_contrasts=num_contrasts)
    sentence = verdict(difference, a=baseline, b=arm, adjusted_p=adjusted_p, num_contrasts=num_contrasts)
    return Contrast(baseline, arm, seeds, values, difference, adjusted_p, found, sentence)
