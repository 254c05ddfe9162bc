"""LORD++: what it promises over a sequence, by arithmetic and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, zeta

from assay.stats.online import RATE, discount, fixed_sequence, next_level

from .ledger_simulation import false_discoveries


def test_the_discounts_sum_to_one() -> None:
    some = sum(discount(lag) for lag in range(1, 2001))
    rest = zeta(1.6, 2001) / zeta(1.6)
    assert some + rest == pytest.approx(1.0, abs=1e-9)


def test_levels_by_hand() -> None:
    """The first claim brings nothing back; each later one brings 5 %, from the next test on."""
    assert next_level(1, []) == pytest.approx(RATE / zeta(1.6))
    assert next_level(3, [1]) == next_level(3, [])
    assert next_level(3, [2, 1]) == pytest.approx(RATE * (discount(3) + discount(1)))
    assert next_level(7, [1, 2, 4]) == pytest.approx(RATE * (discount(7) + discount(5) + discount(3)))
    with pytest.raises(ValueError, match="test 2 cannot follow claims at"):
        next_level(2, [2])
    with pytest.raises(ValueError, match="not between 0 and 1"):
        fixed_sequence([0.5, 1.5])


@pytest.mark.parametrize("seed", range(20))
def test_all_levels_together_never_exceed_the_rate_times_the_claims(seed: int) -> None:
    """The invariant that the method's proof rests on, for every sequence."""
    rng = np.random.default_rng(seed)
    results = fixed_sequence((rng.uniform(size=150) ** rng.uniform(1, 6)).tolist())
    spent, claims = 0.0, 0
    for level, stands in results:
        spent += level
        assert spent <= RATE * max(claims, 1) + 1e-12
        claims += stands


def test_false_discoveries_are_at_most_five_percent_for_independent_tests() -> None:
    rng = np.random.default_rng(2017)
    shares, powers = [], []
    for _ in range(400):
        is_real = rng.uniform(size=200) < 0.3
        p = 2 * ndtr(-np.abs(rng.normal(size=200) + 3.5 * is_real))
        stands = np.array([one for _, one in fixed_sequence(p.tolist())])
        shares.append((stands & ~is_real).sum() / max(stands.sum(), 1))
        powers.append(stands[is_real].mean())
    error = np.std(shares) / len(shares) ** 0.5
    assert np.mean(shares) <= RATE + 3 * error
    assert np.mean(powers) > 0.3


def test_the_ledger_of_twenty_studies_that_are_looked_at_twice_holds_the_rate() -> None:
    """Real verdicts: paired runs, a shared baseline, looks that are paid for, Holm within each study."""
    result = false_discoveries(num_stores=3, num_studies=20, seed=1)
    assert result.studies == 60
    assert result.rate <= RATE + 3 * result.error + 0.02


@pytest.mark.slow
@pytest.mark.parametrize("share_real", [0.0, 0.2, 0.5])
def test_the_ledger_of_two_hundred_studies_holds_the_rate(share_real: float) -> None:
    result = false_discoveries(num_stores=30, num_studies=200, share_real=share_real, seed=3)
    assert result.rate <= RATE + 3 * result.error
    if share_real:
        assert result.stand > 10  # claims a store
