"""Stores of many studies whose truth is known: how many of the claims that their ledgers let stand are false.

    python -m tests.stats.ledger_simulation

Each study compares up to four arms with a baseline, on pairs of runs. Arms share a part with their seed, and
comparisons share the baseline, so that they depend on each other. A study is looked at with ten seeds, and half of them
again with twenty. Verdicts are those of ``decide``, and the ledger is the one that ``assay ledger`` prints.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from assay.analysis.ledger import Ledger, Shown, ledger_of
from assay.stats import History, Look, Spending, decide, paired_outcomes

LOOKS = (10, 20)


@dataclass(frozen=True)
class Result:
    """Of all stores.

    Args:
        studies: How many there were.
        rate: Mean share of false claims among those that stand, with its standard ``error``.
        claimed: The same share among all claims that were made.
        stand, made: Claims a store that stand, and that were made.
    """

    studies: int
    rate: float
    error: float
    claimed: float
    stand: float
    made: float


def false_discoveries(
    *, num_stores: int, num_studies: int, share_real: float = 0.2, effect: float = 1.2, seed: int = 0
) -> Result:
    """Simulates stores.

    Args:
        num_stores: How many.
        num_studies: Of each.
        share_real: Chance that an arm differs from its baseline.
        effect: By how many deviations of a paired difference it then does.
        seed: Of the simulation.
    """
    rng = np.random.default_rng(seed)
    shares, claimed, stand, made = [], [], [], []
    for _ in range(num_stores):
        truth, book = store(rng, num_studies, share_real, effect)
        for sort, share in (("stand", shares), ("made", claimed)):
            claims = [one for one in book.claims if sort == "made" or one.standing == "stands"]
            false = sum((one.study, one.label) not in truth for one in claims)
            share.append(false / max(len(claims), 1))
            (stand if sort == "stand" else made).append(len(claims))
    error = float(np.std(shares) / max(len(shares), 1) ** 0.5)
    means = [float(np.mean(values)) for values in (shares, claimed, stand, made)]
    return Result(num_stores * num_studies, means[0], error, *means[1:])


def store(
    rng: np.random.Generator, num_studies: int, share_real: float, effect: float
) -> tuple[set[tuple[str, str]], Ledger]:
    """One store: what is true in it, and its ledger."""
    truth: set[tuple[str, str]] = set()
    events: list[Shown] = []
    for number in range(num_studies):
        study, arms = f"study {number}", int(rng.integers(1, 5))
        gains = np.where(rng.uniform(size=arms) < share_real, effect, 0.0) * rng.choice([-1, 1], arms)
        truth |= {(study, str(arm)) for arm in range(arms) if gains[arm]}
        shared = rng.normal(0, 2, LOOKS[-1])
        runs = rng.normal(size=(arms + 1, LOOKS[-1])) / 2**0.5 + shared
        runs[1:] += gains[:, None]
        last = len(LOOKS) if rng.uniform() < 0.5 else 1
        for look in range(1, last + 1):
            histories = [
                History(tuple(_look(runs, arm, size) for size in LOOKS[:look]), Spending(LOOKS[0]))
                for arm in range(arms)
            ]
            for arm, finding in enumerate(decide(histories)):
                # Studies are looked at in turn, and again when others have been.
                time = number + 40.0 * (look - 1)
                seen = Shown(
                    time, study, look, str(arm), str(arm), finding.outcome, finding.p_value, frozenset({study})
                )
                events.append(seen)
    return truth, ledger_of(events)


def _look(runs: np.ndarray, arm: int, size: int) -> Look:
    outcomes = paired_outcomes(runs[0, :size], runs[arm + 1, :size], chance=None)
    return Look(outcomes.worked, size, outcomes=outcomes)


if __name__ == "__main__":
    stores = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for share in (0.0, 0.1, 0.2, 0.5, 0.8):
        one = false_discoveries(num_stores=stores, num_studies=200, share_real=share, seed=27)
        print(
            f"| {share:.0%} | {one.made:.0f} | {100 * one.claimed:.1f} | {one.stand:.0f} | {100 * one.rate:.1f} "
            f"(±{200 * one.error:.1f}) |"
        )
