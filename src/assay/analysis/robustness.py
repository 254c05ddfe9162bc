"""What a study's runs score on corrupted images: by severity, by its measure, and a verdict for each corruption."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..measures import ACCURACY, Measure
from ..numerals import counted
from ..stats import (
    ALPHA,
    MIN_PAIRS,
    Finding,
    Outcome,
    PairedDifference,
    Spending,
    crossed_interval,
    crossed_p,
    image_spread,
    joint_ps,
    mean_bands,
    sentence,
)  # fmt: skip
from ..store.corrupted_hits import CorruptedHits, CorruptedLook
from ..store.records import StudyRecord
from .grid import grid_of
from .image_spread import claim_of, num_validation
from .measured import measure_of
from .rows import Row, planned_rows, worded
from .scores import LEAKY, Split, ordered_arms, rule_of, varied

ALL = "all corruptions"


@dataclass(frozen=True, eq=False)
class ArmRobustness:
    """An arm's scores on corrupted images, the mean over folds if there are any. Accuracies are fractions.

    Args:
        arm: The arm's name.
        seeds: The seeds of its runs.
        clean: Scores on uncorrupted images [seeds].
        scores: Scores on corrupted images [seeds, corruptions, severities].
        bounds: The range of the measure.
    """

    arm: str
    seeds: tuple[int, ...]
    clean: NDArray[np.float64]
    scores: NDArray[np.float64]
    bounds: tuple[float, float] = (0.0, 1.0)

    def band(self, corruption: int | None = None) -> tuple[list[float], list[float], list[float]]:
        """Return the mean and its 95 % interval over seeds: uncorrupted, then for each severity [1 + severities].

        Args:
            corruption: The corruption's index; the mean over all if ``None``.
        """
        scores = self.scores.mean(1) if corruption is None else self.scores[:, corruption]
        mean, low, high = mean_bands(np.hstack([self.clean[:, None], scores]))
        return mean.tolist(), low.clip(*self.bounds).tolist(), high.clip(*self.bounds).tolist()


@dataclass(frozen=True)
class CorruptionVerdict:
    """The verdict on one arm, or on a factor's effect, under one corruption over all severities.

    Args:
        corruption: The corruption's name; ``"all corruptions"`` for the mean over all.
        a: The baseline.
        b: The arm that is compared with it.
        n: Common seeds.
        mean: The difference, b minus a, in the study's measure; ``None`` below two seeds.
        low: The lower end of its 95 % interval.
        high: The upper end.
        p_value: The p value over all looks, adjusted for the whole family.
        outcome: ``"better"``, ``"worse"``, ``"undecided"`` or ``"too few seeds"``.
        sentence: The verdict in words, without its full stop.
    """

    corruption: str
    a: str
    b: str
    n: int
    mean: float | None
    low: float | None
    high: float | None
    p_value: float
    outcome: str
    sentence: str


@dataclass(frozen=True, eq=False)
class Robustness:
    """Scores and verdicts on corrupted images, as :meth:`assay.Result.robustness` returns them.

    Args:
        study: The study's name.
        split: The images that were corrupted.
        corruptions: The corruptions' names.
        groups: The group of each corruption, such as ``"noise"``.
        arms: The scores of each arm.
        images: The most images that each run was asked about.
        verdicts: One for each corruption and contrast, the mean over all corruptions first.
        notes: What must be read with them, without full stops.
        measure: The study's measure.
    """

    study: str
    split: Split
    corruptions: tuple[str, ...]
    groups: tuple[str, ...]
    arms: tuple[ArmRobustness, ...]
    images: int
    verdicts: tuple[CorruptionVerdict, ...]
    notes: tuple[str, ...]
    measure: Measure = ACCURACY

    @property
    def severities(self) -> tuple[int, ...]:
        """The severities, 1 to 5."""
        return tuple(range(1, 1 + (self.arms[0].scores.shape[2] if self.arms else 0)))

    @property
    def sentences(self) -> tuple[str, ...]:
        """Every verdict as a sentence, decided ones first."""
        order = ("better", "worse", "undecided", "too few seeds")
        ordered = sorted(self.verdicts, key=lambda verdict: (verdict.corruption != ALL, order.index(verdict.outcome)))
        return tuple(verdict.sentence for verdict in ordered)

    def frame(self) -> Any:
        """Return one row for each arm, corruption and severity: the measure's mean, its 95 % interval, and n."""
        import pandas as pd

        rows = []
        for arm in self.arms:
            for place, name in enumerate(self.corruptions):
                for severity, (mean, low, high) in enumerate(zip(*arm.band(place), strict=True)):
                    rows.append((arm.arm, name, self.groups[place], severity, mean, low, high, len(arm.seeds)))
        columns = ["arm", "corruption", "group", "severity", self.measure.name, "low", "high", "n"]
        return pd.DataFrame(rows, columns=columns)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        arms = [
            {
                "arm": arm.arm,
                "seeds": list(arm.seeds),
                "clean": arm.clean.tolist(),
                **({"mean_accuracy": float(arm.scores.mean())} if self.measure == ACCURACY else {}),
                "mean": float(arm.scores.mean()),
                "corruptions": {
                    name: dict(zip(("mean", "low", "high"), arm.band(place), strict=True))
                    for place, name in enumerate(self.corruptions)
                },
            }
            for arm in self.arms
        ]
        return {
            "study": self.study,
            "split": self.split,
            "metric": self.measure.name,
            "images": self.images,
            "severities": [0, *self.severities],
            "groups": dict(zip(self.corruptions, self.groups, strict=True)),
            "arms": arms,
            "verdicts": [dataclasses.asdict(verdict) for verdict in self.verdicts],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return "\n".join(f"{line}." for line in (*self.sentences, *self.notes))

    def _repr_html_(self) -> str:
        from ..markup import sentences

        return sentences([f"{line}." for line in self.sentences], [f"{note}." for note in self.notes])


def robustness_of(
    study: StudyRecord,
    hits: Mapping[str, CorruptedHits],
    groups: Mapping[str, str],
    looks: Sequence[CorruptedLook] = (),
    *,
    split: Split = "validation",
    left_out: Sequence[str] = (),
) -> Robustness:
    """Scores of a study's arms on corrupted images, by its measure, and the verdicts.

    Every planned contrast (each arm against the first, or the effects of crossed factors) is judged under each
    corruption, by its mean over the severities, and under all of them together: one family, of which at most 5 % hold a
    false call, whatever number of looks was taken (``_verdicts``).

    Args:
        study: Its record.
        hits: By run id, of the runs that were asked, all about the same corruptions.
        groups: Each corruption's group, in the suite's order.
        looks: Looks that were taken before.
        split: Whose images.
        left_out: Why corruptions were left out.
    """
    names = tuple(groups)
    arms = [arm.name for arm in ordered_arms(study)]
    by_arm = {name: _of_arm(study, name, hits, names) for name in arms}
    shown = tuple(arm for arm in by_arm.values() if arm is not None)
    has_folds = any(run.fold for run in study.runs)
    images = max((len(one.images) for one in hits.values()), default=0)
    notes = [LEAKY.rstrip(".")] if study.is_leaky else []
    notes += [
        f"Each run was asked about {counted(images, f'{split} image')}, without corruption and with "
        f"{counted(len(names), 'kind')} of it in 5 severities"
    ]
    missing = [run for run in study.runs if run.state == "finished" and run.id not in hits]
    if missing:
        notes.append(f"{counted(len(missing), 'finished run')} had no part in it: their weights are gone")
    verdicts: tuple[CorruptionVerdict, ...] = ()
    if has_folds:
        notes.append("With folds scores are shown without verdicts: runs of a seed share training images")
    elif len(shown) > 1:
        verdicts = _verdicts(study, hits, names, looks)
        notes.append(
            f"One error budget of 5 % for all {len(verdicts)} verdicts and all looks at them; intervals are each its "
            f"own, at 95 %, and speak of what a seed changes ({', '.join(varied(study)) or 'nothing'}) and of "
            f"{claim_of(study)}"
        )
    return Robustness(
        study.name, split, names, tuple(groups.values()), shown, images, verdicts, (*notes, *left_out),
        measure_of(study),
    )  # fmt: skip


def seeds_compared(study: StudyRecord, hits: Mapping[str, CorruptedHits]) -> tuple[int, ...]:
    """The seeds that all arms share among the runs that were asked: what a look at the verdicts is of."""
    by_arm = [{run.seed for run in study.runs_of(arm.name) if run.id in hits} for arm in study.arms]
    return tuple(sorted(set.intersection(*by_arm))) if by_arm else ()


def _of_arm(
    study: StudyRecord, arm: str, hits: Mapping[str, CorruptedHits], names: tuple[str, ...]
) -> ArmRobustness | None:
    by_seed: dict[int, list[CorruptedHits]] = {}
    for run in study.runs_of(arm):
        if run.id in hits:
            by_seed.setdefault(run.seed, []).append(hits[run.id])
    if not by_seed:
        return None
    seeds = tuple(sorted(by_seed))
    clean = np.array([np.mean([one.clean_score for one in by_seed[seed]]) for seed in seeds])
    scores = np.array(
        [np.mean([[one.scores_of(name) for name in names] for one in by_seed[seed]], axis=0) for seed in seeds]
    )
    return ArmRobustness(arm, seeds, clean, scores, measure_of(study).bounds)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a look saw of one contrast under one corruption: seeds, differences [seeds] and the p of these alone."""

    seeds: tuple[int, ...]
    values: NDArray[np.float64]
    low: float | None
    high: float | None
    p_value: float


def _verdicts(
    study: StudyRecord, hits: Mapping[str, CorruptedHits], names: tuple[str, ...], looks: Sequence[CorruptedLook]
) -> tuple[CorruptionVerdict, ...]:
    """Every contrast under every corruption, at every look.

    A look that sees more seeds than those before spends its part of the 5 % (``Spending``, as the study's own verdicts
    do); within it, p values are adjusted for the family by ``joint_ps``. A verdict of an earlier look stands as long as
    the difference has kept its sign.
    """
    rows = planned_rows(study)
    now = CorruptedLook(rule_of(study).planned, seeds_compared(study, hits))
    asked = [(name, row) for name in (ALL, *names) for row in rows]
    overall, directions = np.ones(len(asked)), np.zeros(len(asked))
    seen: list[_Seen] = []
    most, planned = 0, looks[0].planned if looks else now.planned
    spending = Spending(planned)
    for look in (*looks, now):
        seeds = set(look.seeds)
        seen = [_seen(study, hits, names, name, row, seeds) for name, row in asked]
        size = len(look.seeds)
        share = spending.spent(size) - spending.spent(most)
        most = max(most, size)
        if share <= 0:
            continue
        every = sorted(seeds)
        joint = np.array([[dict(zip(one.seeds, one.values, strict=True)).get(s, 0.0) for s in every] for one in seen])
        is_enough = np.array([len(one.seeds) >= MIN_PAIRS for one in seen])
        adjusted = np.where(is_enough, joint_ps([one.p_value for one in seen], joint), 1.0)
        levels = np.minimum(adjusted / share, 1.0)
        means = np.array([one.values.mean() if len(one.values) else 0.0 for one in seen])
        directions = np.where(levels < overall, np.sign(means), directions)
        overall = np.minimum(overall, levels)
    is_early = most < planned
    measure = measure_of(study)
    return tuple(
        _verdict(measure, name, row, one, float(p), float(direction), len(asked), is_early)
        for (name, row), one, p, direction in zip(asked, seen, overall, directions, strict=True)
    )


def _seen(
    study: StudyRecord,
    hits: Mapping[str, CorruptedHits],
    names: tuple[str, ...],
    name: str,
    row: Row,
    seeds: set[int],
) -> _Seen:
    by_seed = [{run.seed: hits[run.id] for run in study.runs_of(arm) if run.id in hits} for arm in row.arms]
    shared = sorted(seeds.intersection(*by_seed))
    # One network of each arm on the same images, what each adds to the score over severities: [images] for each seed.
    differences = [
        sum(weight * _by_image(known[seed], names, name) for weight, known in zip(row.weights, by_seed, strict=True))
        for seed in shared
    ]
    values = np.array([np.mean(one) for one in differences])
    if len(shared) < 2:
        return _Seen(tuple(shared), values, None, None, 1.0)
    left_out = num_validation(study, row, np.searchsorted(grid_of(study).seeds, shared))
    spread = image_spread(
        differences,
        [by_seed[0][seed].images for seed in shared],
        claim=study.design.claimed,
        num_training=max(int(study.data.get("num_training", 0)) - left_out, 1),
        num_left_out=left_out or None,
    )
    low, high = crossed_interval(values, spread)
    return _Seen(tuple(shared), values, low, high, crossed_p(values, spread))


def _by_image(one: CorruptedHits, names: tuple[str, ...], name: str) -> NDArray[np.float64]:
    if name == ALL:
        return np.asarray(np.mean([one.by_image(each) for each in names], axis=0))
    return one.by_image(name)


def _verdict(
    measure: Measure, name: str, row: Row, seen: _Seen, p: float, direction: float, num_contrasts: int, is_early: bool
) -> CorruptionVerdict:
    n = len(seen.values)
    mean = float(seen.values.mean()) if n else None
    outcome: Outcome = "too few seeds" if n < MIN_PAIRS else "undecided"
    if n >= MIN_PAIRS and p < ALPHA and mean is not None and np.sign(mean) == direction:
        outcome = "better" if (direction > 0) == measure.higher_is_better else "worse"
    if n < MIN_PAIRS:
        text = f"not enough seeds for a verdict: {counted(n, 'pair')}, {MIN_PAIRS} are needed"
    else:
        assert mean is not None
        assert seen.low is not None
        assert seen.high is not None
        difference = PairedDifference(mean, seen.low, seen.high, n, 0.95, seen.p_value, "")
        is_open = outcome == "undecided" and difference.excludes_zero
        finding = Finding(
            n, outcome, difference, num_contrasts, p_value=p, num_ties=int(np.count_nonzero(seen.values == 0)),
            obstacle="" if not is_open else "early" if is_early else "family",
        )  # fmt: skip
        unit = measure.unit
        text = sentence(
            finding, a=row.a, b=row.b, wording=worded(row, measure),
            unit=unit.name, scale=unit.scale, decimals=unit.decimals,
        )  # fmt: skip
    lead = name.replace("_", " ")
    return CorruptionVerdict(
        name, row.a, row.b, n, mean, seen.low, seen.high, p, outcome, f"{lead[:1].upper()}{lead[1:]}: {text}"
    )
