"""Runs of a contrast that collapsed or failed, as a finding reports them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .failures import Claims, Direction, PairedOutcomes
from .rates import rate_bound
from .typical import Typical


@dataclass(frozen=True)
class BadRuns:
    """How often runs of two arms collapsed or failed, and what that implies.

    Args:
        a: Bad runs of the baseline.
        b: Bad runs of the other arm.
        n: Runs of each arm.
        collapsed: Runs of a and of b that ended near the accuracy of guessing.
        failed: Runs of a and of b without a score.
        p_value: Boschloo's exact p value of equal rates.
        rates: The direction that the rates decide for b; ``None`` if they decide nothing.
        where_both_worked: The direction of the difference among pairs in which both runs worked; ``None`` for none.
        is_qualified: Whether that claim holds only where both runs worked.
        typical: The Hodges-Lehmann estimate over all pairs, with bad runs as the lowest; ``None`` if there is none.
        bound: The largest possible rate of bad runs in an arm that has had none.
    """

    a: int
    b: int
    n: int
    collapsed: tuple[int, int]
    failed: tuple[int, int]
    p_value: float
    rates: Direction | None = None
    where_both_worked: Direction | None = None
    is_qualified: bool = False
    typical: Typical | None = None
    bound: float = 1.0

    @property
    def word(self) -> str:
        """What became of them."""
        if not any(self.failed):
            return "collapsed"
        return "collapsed or failed" if any(self.collapsed) else "failed"

    def reversed(self) -> BadRuns:
        """The same of a against b."""
        swapped: dict[Direction | None, Direction | None] = {"better": "worse", "worse": "better", None: None}
        typical = self.typical and replace(
            self.typical, estimate=-self.typical.estimate, low=-self.typical.high, high=-self.typical.low
        )
        return replace(
            self, a=self.b, b=self.a, collapsed=self.collapsed[::-1], failed=self.failed[::-1],
            rates=swapped[self.rates], where_both_worked=swapped[self.where_both_worked], typical=typical,
        )  # fmt: skip


def bad_runs(outcomes: PairedOutcomes, claims: Claims | None) -> BadRuns:
    """What a finding reports of the runs of a contrast."""
    rates, worked = outcomes.rates, None if claims is None else claims.where_both_worked
    return BadRuns(
        a=rates.bad_a,
        b=rates.bad_b,
        n=rates.n,
        collapsed=outcomes.collapsed,
        failed=outcomes.failed,
        p_value=rates.p_value,
        rates=None if claims is None else claims.rates,
        where_both_worked=worked,
        is_qualified=claims is not None and worked is not None and claims.overall is None,
        typical=outcomes.typical if outcomes.has_bad_runs else None,
        bound=rate_bound(0, rates.n) if rates.n else 1.0,
    )
