"""What saved samples say: medians and ranges over rounds, ratios within a round, who enters the rounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from roster import SLOWER

Raw = dict[str, Any]


@dataclass(frozen=True)
class Spread:
    """A median with its range. ``n`` is the number of rounds."""

    middle: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        found = list(values)
        return cls(median(found), min(found), max(found), len(found)) if found else None

    def text(self, form: str = ".2f") -> str:
        alone = f"{self.middle:{form}}"
        return alone if self.n == 1 else f"{alone} ({self.low:{form}} to {self.high:{form}})"


@dataclass(frozen=True)
class Ratio:
    """How many times less time ours takes than the best of some rivals, round by round."""

    rival: str
    precision: str
    theirs: Spread
    ours: Spread
    times: Spread


def run_epoch_seconds(sample: Raw) -> float:
    """Seconds per run and epoch: of processes side by side, the mean process's epoch shared by all of them."""
    return fmean(fmean(result["epoch_seconds"]) for result in sample["results"]) / sample["processes"]


def by_round(raw: Raw, system: str, probe: str) -> dict[int, float]:
    """Seconds per run and epoch, by round."""
    return {
        sample["round"]: run_epoch_seconds(sample)
        for sample in raw["samples"]
        if sample["system"] == system and sample["probe"] == probe
    }


def ratio(raw: Raw, rivals: Iterable[str], ours: str, probe: str) -> Ratio | None:
    """Ours against the rival with the smallest median; each ratio is of two times from one round."""
    own = by_round(raw, ours, probe)
    theirs = {rival: times for rival in rivals if (times := by_round(raw, rival, probe)) and own.keys() & times.keys()}
    if not theirs:
        return None
    best = min(theirs, key=lambda rival: median(theirs[rival].values()))
    shared = sorted(own.keys() & theirs[best].keys())
    spreads = [
        Spread.of(values)
        for values in (
            [theirs[best][round_] for round_ in shared],
            [own[round_] for round_ in shared],
            [theirs[best][round_] / own[round_] for round_ in shared],
        )
    ]
    sample = next(one for one in raw["samples"] if one["system"] == best and one["probe"] == probe)
    return Ratio(best, sample["results"][0]["precision"], *spreads)  # type: ignore[arg-type]


def entering(raw: Raw, group: Iterable[str], probe: str) -> dict[str, Raw]:
    """The fastest heat of each rival of a group that enters the rounds on a probe."""
    heats = [heat for heat in raw["heats"] if heat["probe"] == probe and heat["system"] in group]
    fastest: dict[str, Raw] = {}
    for heat in sorted(heats, key=run_epoch_seconds):
        fastest.setdefault(heat["system"], heat)
    least = min(map(run_epoch_seconds, fastest.values()), default=0.0)
    return {name: heat for name, heat in fastest.items() if run_epoch_seconds(heat) <= SLOWER * least}


def ceiling(raw: Raw, threads: str, name: str) -> Spread | None:
    """One of the machine's ceilings, over rounds."""
    return Spread.of(one["threads"][threads][name] for one in raw["roofline"])


def thread_counts(raw: Raw) -> list[str]:
    """What the ceilings were measured with, fewest first."""
    return list(raw["roofline"][0]["threads"]) if raw["roofline"] else []


def products_ceiling(raw: Raw, precision: str) -> float | None:
    """GFLOP/s of all cores: of a library's matrix product or of multiply-adds from registers, whichever is faster."""
    counts = thread_counts(raw)
    if not counts:
        return None
    library = ceiling(raw, counts[-1], f"matmul_{precision}_gflops")
    registers = Spread.of(
        found[precision] * raw["machine"]["cores"]
        for one in raw["roofline"]
        if precision in (found := one.get("registers", {}))
    )
    return max((found.middle for found in (library, registers) if found), default=None)
