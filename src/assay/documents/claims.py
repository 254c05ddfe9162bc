"""The documents' claims, and a verdict on each from our runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..analysis.diagnoses import curves_of_run
from ..analysis.scores import accuracy_interval
from ..measures import PERCENT
from ..numerals import counted, percent, points
from ..stats import (
    MIN_PAIRS,
    ImageSpread,
    Interval,
    PairedDifference,
    image_spread,
    judge,
    mean_interval,
    pairs_needed,
    share_interval,
)
from ..stats.diagnose import MIN_EPOCHS, overfitting, shows_its_course
from ..store.records import RunRecord
from .published import waiting_for

Verdict = Literal["supported", "contradicted", "not decided", "waiting"]
Kind = Literal["better", "best", "overfits", "does not overfit", "underfits", "reaches", "does not train"]

LOW = 0.95  # a network for these digits that knows less of its own training images underfits
CHANCE = 0.2  # no better than this, of ten classes, is not trained at all


@dataclass(frozen=True)
class Claim:
    """One claim of a document.

    Args:
        document: ``"A"`` to ``"E"``.
        text: The claim, with the document's figures.
        kind: The kind of claim, such as ``"better"`` or ``"overfits"``.
        arm: The arm that it is about.
        others: The arms that it is compared with.
        level: For ``"reaches"``: the accuracy.
        only_as_published: Whether it is about the published protocol alone.
        waits: What is missing to check it.
        needs: The base whose weights it needs.
    """

    document: str
    text: str
    kind: Kind
    arm: str
    others: tuple[str, ...] = ()
    level: float = 0.0
    only_as_published: bool = False
    waits: str = ""
    needs: str = ""


CLAIMS = (
    Claim(
        "A", "5x5 kernels with 64 filters are the best of the grid (99.22 %)", "best", "A-grid-5x5-64",
        ("A-grid-3x3-32", "A-grid-3x3-64", "A-grid-5x5-32"),
    ),
    Claim("A", "dropout helps: 99.33 % with it, 98.84 % without", "better", "A-grid-5x5-64", ("A-no-dropout",)),
    Claim(
        "A", "a frozen VGG16 (95.45 %) is worse than the small network", "better", "A-grid-5x5-64", ("A-vgg16-frozen",),
        needs="vgg16",
    ),
    Claim("B", "the network that is wide first overfits", "overfits", "B-3x3-wide-first"),
    Claim("B", "the one that is narrow first does not overfit", "does not overfit", "B-3x3-narrow-first"),
    Claim("B", "one and two filters underfit (88.11 %)", "underfits", "B-5x5-tiny"),
    Claim("B", "8 and 16 filters are the best of the 5x5 networks (99.16 %)", "best", "B-5x5", ("B-5x5-tiny",)),
    Claim("B", "pool size 3 with overlapping windows overfits", "overfits", "B-7x7-pool3"),
    Claim("B", "pool size 2 (99.14 %) is better than 3 (98.84 %)", "better", "B-7x7-pool2", ("B-7x7-pool3",)),
    Claim(
        "B", "one dense layer (99.00 %) is worse than three (99.14 %)", "better", "B-7x7-pool2", ("B-7x7-one-dense",)
    ),
    Claim("B", "with one dense layer it overfits", "overfits", "B-7x7-one-dense"),
    Claim("B", "with four dense layers it highly overfits", "overfits", "B-7x7-four-dense"),
    Claim(
        "B", "more dropout and no batch normalization is the best of the 7x7 networks (99.19 %)", "best",
        "B-7x7-dropout", ("B-7x7-pool3", "B-7x7-pool2", "B-7x7-one-dense", "B-7x7-four-dense"),
    ),
    Claim("C", "batch normalization beats L2 (one convolution)", "better", "C-1conv-batchnorm", ("C-1conv-l2",)),
    Claim(
        "C", "batch normalization beats dropout (one convolution)", "better", "C-1conv-batchnorm", ("C-1conv-dropout",)
    ),
    Claim("C", "batch normalization beats L2 (two convolutions)", "better", "C-2conv-batchnorm", ("C-2conv-l2",)),
    Claim(
        "C", "batch normalization beats dropout (two convolutions)", "better", "C-2conv-batchnorm", ("C-2conv-dropout",)
    ),
    Claim(
        "C", "one convolution (89.69 %) beats two (85.98 %), both with batch normalization", "better",
        "C-1conv-batchnorm", ("C-2conv-batchnorm",),
    ),
    Claim(
        "C", "on raw bytes, the two-convolution network without regularization may not train at all", "does not train",
        "C-2conv-none", only_as_published=True,
    ),
    Claim(
        "C", "on raw bytes, the one-convolution network without regularization may not train at all", "does not train",
        "C-1conv-none", only_as_published=True,
    ),
    Claim("D", "convolutions help: 80.1 % to 95.9 %", "better", "D-conv", ("D-dense",)),
    Claim("D", "regularization and depth help: 95.9 % to 97.6 %", "better", "D-conv-regularized", ("D-conv",)),
    Claim("D", "augmentation helps: 97.6 % to 98.3 %", "better", "D-augmented", ("D-conv-regularized",)),
    Claim(
        "D", "a frozen VGG16 (57.8 %) is far worse than the small network", "better", "D-augmented",
        ("D-vgg16-frozen",), needs="vgg16",
    ),
    Claim("E", "98.63 % within 6,000 parameters", "reaches", "E-budget", level=0.9863),
)  # fmt: skip


@dataclass(frozen=True)
class ClaimVerdict:
    """What the runs say about one claim of a document.

    Args:
        claim: The claim; ``claim.text`` is its wording.
        verdict: ``"supported"``, ``"contradicted"``, ``"not decided"`` or ``"waiting"`` (something is missing).
        sentence: The effect with its interval, in words.
    """

    claim: Claim
    verdict: Verdict
    sentence: str


@dataclass(frozen=True)
class Evidence:
    """An arm's runs: accuracy by seed, in the split that counts, the runs themselves, and which images each gets right.

    ``hits`` are by seed [images]; empty where they are not known. ``images`` are these images as indices, by seed too;
    empty where every seed has the same ones.
    """

    scores: Mapping[int, float]
    runs: tuple[RunRecord, ...]
    hits: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)
    images: Mapping[int, NDArray[np.int64]] = field(default_factory=dict)


def judge_claims(claims: Sequence[Claim], evidence: Mapping[str, Evidence]) -> tuple[ClaimVerdict, ...]:
    """A verdict on each claim. Comparisons are paired by seed and adjusted together (Holm).

    Args:
        claims: Of one document.
        evidence: By arm; an arm without runs is left out.
    """
    contrasts = _contrasts(claims, evidence)
    verdicts = []
    for claim in claims:
        has_run = all(arm in evidence and evidence[arm].runs for arm in claim.others)
        lacking = "" if has_run else waiting_for(claim.needs)
        if claim.waits or lacking:
            verdicts.append(ClaimVerdict(claim, "waiting", claim.waits or f"waits for {lacking}"))
        elif claim.arm not in evidence or not evidence[claim.arm].runs:
            verdicts.append(ClaimVerdict(claim, "not decided", "it has not been run"))
        elif claim.others:
            verdicts.append(_compared(claim, [contrasts.get((claim.arm, other)) for other in claim.others]))
        else:
            verdicts.append(_OF_ONE[claim.kind](claim, evidence[claim.arm]))
    return tuple(verdicts)


@dataclass(frozen=True)
class _Contrast:
    other: str
    difference: PairedDifference
    outcome: str
    on_these_images: str  # the outcome where other images are not spoken of
    speaks_of_others: bool  # whether what other images add is known
    num_contrasts: int  # of the document, which are adjusted together


def _contrasts(claims: Sequence[Claim], evidence: Mapping[str, Evidence]) -> dict[tuple[str, str], _Contrast]:
    differences: dict[tuple[str, str], list[float]] = {}
    spreads: list[ImageSpread | None] = []
    for claim in claims:
        for other in claim.others:
            if claim.arm in evidence and other in evidence and (claim.arm, other) not in differences:
                one, two = evidence[claim.arm], evidence[other]
                seeds = sorted(one.scores.keys() & two.scores.keys())
                differences[claim.arm, other] = [one.scores[seed] - two.scores[seed] for seed in seeds]
                spreads.append(_spread(one, two, seeds))
    rows = [*differences.values()]
    findings = judge(rows, spreads=[ImageSpread() if spread is None else spread for spread in spreads])
    return {
        pair: _Contrast(
            pair[1], finding.difference, finding.outcome, seeds_alone.outcome, spread is not None, finding.num_contrasts
        )
        for pair, spread, finding, seeds_alone in zip(differences, spreads, findings, judge(rows), strict=True)
        if finding.difference is not None
    }


def _spread(one: Evidence, two: Evidence, seeds: Sequence[int]) -> ImageSpread | None:
    """What other images add to two arms' difference; ``None`` where the stores do not tell."""
    if len(seeds) < 2 or any(seed not in arm.hits for arm in (one, two) for seed in seeds):
        return None
    images = [[arm.images.get(seed, np.arange(len(arm.hits[seed]))) for seed in seeds] for arm in (one, two)]
    if not all(map(np.array_equal, *images)):  # runs of two stores, whose splits differ
        return None
    return image_spread([one.hits[seed].astype(np.float32) - two.hits[seed] for seed in seeds], images[0])


def _compared(claim: Claim, contrasts: Sequence[_Contrast | None]) -> ClaimVerdict:
    known = [contrast for contrast in contrasts if contrast is not None]
    if not known:
        return ClaimVerdict(claim, "not decided", "fewer than two seeds pair")
    note = "; ".join(f"against {contrast.other} {_points(contrast.difference)}" for contrast in known)
    n = min(contrast.difference.n for contrast in known)
    outcomes = {contrast.outcome for contrast in known}
    note += _both_readings(known)
    if "worse" in outcomes:
        return ClaimVerdict(claim, "contradicted", f"{note}, n = {n}")
    if outcomes == {"better"} and len(known) == len(contrasts):
        return ClaimVerdict(claim, "supported", f"{note}, n = {n}")
    few = f"; {pairs_needed(known[0].num_contrasts)} or more pairs are needed" if "too few seeds" in outcomes else ""
    return ClaimVerdict(claim, "not decided", f"{note}, n = {n}{few}")


def _both_readings(contrasts: Sequence[_Contrast]) -> str:
    """Where a verdict speaks of these images alone, or would be another one if it did."""
    parts = [reading for one in contrasts if (reading := _other_reading(one))]
    return f" ({'; '.join(parts)})" if parts else ""


def _other_reading(one: _Contrast) -> str:
    if not one.speaks_of_others:
        return f"against {one.other} of these images alone, since runs have no stored results of single images"
    if one.on_these_images == one.outcome:
        return ""
    if one.on_these_images in ("better", "worse"):
        return f"on these images alone {one.on_these_images} than {one.other}"
    return f"on these images alone undecided against {one.other}"


def _overfits(claim: Claim, evidence: Evidence, *, is_denied: bool = False) -> ClaimVerdict:
    """Whether most of an arm's runs overfit, by the rule of ``stats.diagnose``."""
    runs = [run for run in evidence.runs if run.state == "finished" and run.epochs]
    curves = [curves for run in runs if shows_its_course(curves := curves_of_run(run))]
    if not curves:
        why = f"no run has {MIN_EPOCHS} epochs, which the rule needs" if runs else "no run has finished"
        return ClaimVerdict(claim, "not decided", why)
    count = sum(overfitting(one) is not None for one in curves)
    share = share_interval(count, len(curves))
    gaps = [float(one.row("train_accuracy")[-1] - one.row("validation_accuracy")[-1]) for one in curves]
    rises = [float(one.row("validation_loss")[-1] - one.row("validation_loss").min()) for one in curves]
    gap = f"{points(gaps[0])} points" if len(gaps) == 1 else _points(mean_interval(gaps))
    note = (
        f"{count} of {counted(len(curves), 'run')} overfit [{100 * share.low:.0f} %, {100 * share.high:.0f} %]; "
        f"training accuracy is {gap} above validation accuracy after the last epoch, and validation loss has risen by "
        f"{sum(rises) / len(rises):.3f} from its lowest, n = {len(curves)}"
    )
    most, few = share.low > 0.5, share.high < 0.5
    return _decided(claim, note, len(curves), (few, most) if is_denied else (most, few))


def _does_not_overfit(claim: Claim, evidence: Evidence) -> ClaimVerdict:
    return _overfits(claim, evidence, is_denied=True)


def _underfits(claim: Claim, evidence: Evidence) -> ClaimVerdict:
    last = [run.epochs[-1].train_accuracy for run in evidence.runs if run.state == "finished" and run.epochs]
    if len(last) < 2:
        return ClaimVerdict(claim, "not decided", f"n = {len(last)}; {MIN_PAIRS} or more seeds are needed")
    interval = accuracy_interval(last)
    note = f"it knows {_percent(interval)} of its own training images after the last epoch, n = {interval.n}"
    return _decided(claim, note, interval.n, (interval.high < LOW, interval.low > LOW))


def _reaches(claim: Claim, evidence: Evidence) -> ClaimVerdict:
    scores = list(evidence.scores.values())
    if len(scores) < 2:
        return ClaimVerdict(claim, "not decided", f"n = {len(scores)}; {MIN_PAIRS} or more seeds are needed")
    interval = accuracy_interval(scores)
    note = f"the mean over seeds is {_percent(interval)}, n = {interval.n}"
    return _decided(claim, note, interval.n, (interval.low >= claim.level, interval.high < claim.level))


def _does_not_train(claim: Claim, evidence: Evidence) -> ClaimVerdict:
    ended = [run for run in evidence.runs if run.state in ("finished", "diverged")]
    stuck = [
        run for run in ended
        if run.state == "diverged" or (run.epochs and run.epochs[-1].validation_accuracy < CHANCE)
    ]  # fmt: skip
    note = (
        f"{len(stuck)} of {counted(len(ended), 'run')} did not train (diverged, or below {percent(CHANCE, 0)} accuracy)"
    )
    return ClaimVerdict(claim, "supported" if stuck else "not decided", note)


def _decided(claim: Claim, note: str, n: int, sides: tuple[bool, bool]) -> ClaimVerdict:
    if n < MIN_PAIRS:
        return ClaimVerdict(claim, "not decided", f"{note}; {MIN_PAIRS} or more seeds are needed")
    supports, contradicts = sides
    return ClaimVerdict(claim, "supported" if supports else "contradicted" if contradicts else "not decided", note)


_OF_ONE: dict[Kind, Callable[[Claim, Evidence], ClaimVerdict]] = {
    "overfits": _overfits,
    "does not overfit": _does_not_overfit,
    "underfits": _underfits,
    "reaches": _reaches,
    "does not train": _does_not_train,
}


def _points(difference: PairedDifference | Interval) -> str:
    unit = PERCENT.within(difference.low, difference.high)
    return f"{unit.change(difference.mean)} points {PERCENT.changes(difference.low, difference.high)}"


def _percent(interval: Interval) -> str:
    unit = PERCENT.within(interval.low, interval.high)
    return f"{unit.value(interval.mean)} {unit.interval(interval.low, interval.high)}"
