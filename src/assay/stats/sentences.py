"""A finding as one plain sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..numerals import counted, decimals_for, fixed, p_value
from .bad_runs import BadRuns
from .families import Finding
from .verdicts import refusal

_MANY = 1000  # seeds that nobody will train


@dataclass(frozen=True)
class Wording:
    """Phrases for a contrast of a and b; "{a}" and "{b}" stand for their names, "{x}" for the difference."""

    better: str = "{b} is better than {a}: accuracy is {x} higher"
    worse: str = "{b} is worse than {a}: accuracy is {x} lower"
    undecided: str = "No clear effect: {b} changed accuracy by {x} against {a}"
    equivalent: str = "No difference that matters between {a} and {b}: {x}"
    equal: str = "No difference seen: {a} and {b} score the same on all {n}"
    estimate: str = "An estimate, not judged: {b} changed accuracy by {x} against {a}"
    changed: str = "{b} changed accuracy by {x}"

    @classmethod
    def of(cls, measure: str, *, higher_is_better: bool = True) -> Wording:
        """The phrases for a measure of this name."""
        up, down = ("higher", "lower") if higher_is_better else ("lower", "higher")
        return cls(
            better=f"{{b}} is better than {{a}}: {measure} is {{x}} {up}",
            worse=f"{{b}} is worse than {{a}}: {measure} is {{x}} {down}",
            undecided=f"No clear effect: {{b}} changed {measure} by {{x}} against {{a}}",
            estimate=f"An estimate, not judged: {{b}} changed {measure} by {{x}} against {{a}}",
            changed=f"{{b}} changed {measure} by {{x}}",
        )

    def turned(self) -> Wording:
        """The phrases where a lower value is better, of phrases that speak of higher and lower."""
        return replace(self, better=self.worse, worse=self.better)


PLAIN = Wording()


def sentence(
    finding: Finding,
    *,
    a: str,
    b: str,
    seeds: str = "",
    wording: Wording = PLAIN,
    unit: str = "points",
    scale: float = 100.0,
    decimals: int = 2,
) -> str:
    """The verdict on b against a, without its full stop: what holds, how large, how sure.

    Args:
        finding: Of b against a.
        a: Name of the arm that was subtracted.
        b: Name of the arm that it was subtracted from.
        seeds: What the interval comes from, such as "10 seeds"; counted from the finding unless given.
        wording: The phrases to use.
        unit: The unit of a reported difference; accuracy's are percentage points.
        scale: Turns the metric into that unit.
        decimals: Of a reported difference, at most: a wide interval takes fewer.
    """
    difference, runs = finding.difference, finding.bad_runs
    if finding.outcome == "too few seeds":
        return refusal(finding.n, num_contrasts=finding.num_contrasts, is_folds=finding.is_corrected)
    lead = _rates(runs, a, b) if runs is not None and runs.rates else ""
    if difference is None:
        refused = refusal(finding.n, num_contrasts=finding.num_contrasts, is_folds=finding.is_corrected)
        return lead or refused
    seeds = seeds or counted(finding.n, "fold" if finding.is_corrected else "seed")
    numbers = (scale * difference.mean, scale * difference.low, scale * difference.high)
    kind, level = "95 % interval", wording.undecided
    if finding.outcome == "undecided" and finding.share <= 0:
        level = wording.estimate
    elif finding.outcome == "undecided" and finding.num_ties == finding.n:
        return wording.equal.replace("{a}", a).replace("{b}", b).replace("{n}", seeds)
    margin = ""
    if finding.equivalence is not None:
        size = f"{scale * finding.equivalence.margin:g}"
        margin = f"{size} {unit.removesuffix('s') if size == '1' else unit}".rstrip()
    if finding.outcome == "equivalent" and finding.equivalence is not None:
        level, kind = wording.equivalent, "90 % interval"
        numbers = (numbers[0], scale * finding.equivalence.low, scale * finding.equivalence.high)
        seeds = f"inside the margin of {margin}, {seeds}"
    elif finding.outcome != "undecided":
        level = wording.better if finding.outcome == "better" else wording.worse
        if finding.is_within_margin:
            seeds = f"{seeds}; smaller than the margin of {margin}"
        if numbers[0] < 0:
            numbers = (-numbers[0], -numbers[2], -numbers[1])
    digits = decimals_for(numbers[1], numbers[2], decimals)
    mean, low, high = (fixed(number, digits) for number in numbers)
    is_constant = difference.high - difference.low < 1e-9 * abs(difference.mean)
    interval = f"the same on each of {seeds}" if is_constant else f"{kind} {low} to {high}, {seeds}"
    text = level.replace("{a}", a).replace("{b}", b).replace("{x}", f"{mean} {unit}".rstrip())
    if runs is None or not (runs.a or runs.b):
        return f"{text} ({interval}){_reason(finding)}"
    if lead:
        change = f"{fixed(scale * difference.mean, digits)} {unit}".rstrip()
        return f"{lead}; where both worked, {wording.changed.replace('{b}', b).replace('{x}', change)} ({interval})"
    if runs.is_qualified:
        text = f"Where both worked, {text}"
    else:
        interval += " where both worked"
    return f"{text} ({interval}){_reason(finding)}; {_counts(runs, a, b)}"


def _rates(runs: BadRuns, a: str, b: str) -> str:
    """The verdict of the rates of bad runs."""
    more, fewer, counts = (b, a, (runs.b, runs.a)) if runs.rates == "worse" else (a, b, (runs.a, runs.b))
    verb = {"collapsed": "collapses", "failed": "fails"}.get(runs.word, "collapses or fails")
    of = f"{counts[0]} of {counted(runs.n, 'run')} against {counts[1]}"
    return f"{more} {verb} more often than {fewer}: {of} (p {p_value(runs.p_value)})"


def _counts(runs: BadRuns, a: str, b: str) -> str:
    """How many runs of which arm went wrong."""
    parts = [f"{count} of {counted(runs.n, 'run')} of {arm}" for count, arm in ((runs.a, a), (runs.b, b)) if count]
    return f"{' and '.join(parts)} {runs.word}"


def _reason(finding: Finding) -> str:
    """Why a contrast is undecided though its interval excludes zero."""
    if finding.outcome != "undecided" or finding.obstacle in ("", "not planned"):
        return ""
    p = "" if finding.adjusted_p is None else f" (p {p_value(finding.adjusted_p)} after Holm)"
    return {
        "early": "; before all planned seeds have ended only an overwhelming difference is called",
        "family": f"; the interval excludes zero, but of {finding.num_contrasts} comparisons one does so too often by "
        f"luck{p}",
        "signs": f"; the interval excludes zero, but the signs of {finding.n} pairs alone are not rare enough "
        "(sign-flip test)",
        "added later": "; the interval excludes zero, but this comparison was added after the first verdict, and only "
        "a part of the 5 % of false calls was left for it",
        "contradicted": "; an earlier look called it, and the seeds since do not bear that out",
        "bad runs": "; too many runs went wrong to call the arm better whose runs they are",
    }[finding.obstacle]


def advice(finding: Finding, *, split: str = "validation") -> str:
    """What would decide an undecided contrast, as a sentence without its full stop; empty where nothing is known."""
    need = finding.need
    is_equal = finding.num_ties == finding.n
    is_hopeless = is_equal or finding.obstacle == "bad runs"
    if finding.outcome != "undecided" or need is None or finding.share <= 0 or is_hopeless:
        return ""
    if need.images is not None and (need.seeds or 0) <= _MANY:
        more = f"about {_rounded(need.images):,} more {split} images"
        if need.seeds is not None:
            seeds = counted(_rounded(need.seeds), "more seed")
            return f"more seeds alone will not tell; about {seeds} with {more} would"
        return f"more seeds will not tell; {more} would"
    if need.seeds is not None and need.seeds <= _MANY:
        size = "so small an effect" if finding.difference and abs(finding.effect_size or 0) < 1 else "it"
        return f"settling {size} would take about {counted(_rounded(need.seeds), 'more seed')}"
    if need.seeds is not None:
        return f"settling so small an effect would take more than {_MANY:,} more seeds"
    margin = "" if finding.equivalence else "; a margin under [seeds] would let it end as no difference"
    return f"no number of seeds within reach would settle so small an effect{margin}"


def _rounded(number: int) -> int:
    """Two significant digits: no estimate of this kind has more."""
    return int(float(f"{number:.2g}"))
