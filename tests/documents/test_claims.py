"""Verdicts on claims, on runs made up so that the truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from assay.analysis.diagnoses import curves_of_run
from assay.documents import CLAIMS, Claim, judge_claims, published
from assay.documents.claims import Evidence
from assay.documents.page import is_within, spread
from assay.stats.diagnose import diagnose
from assay.store import RunRecord
from assay.train.epochs import EpochRecord


def run(
    seed: int, train: float, validation: float, *, state: str = "finished", losses: Sequence[float] = (0.1,)
) -> RunRecord:
    epochs = tuple(
        EpochRecord(index + 1, 0.05, train, loss, validation, 0.1, train, 0.001, 1.0)
        for index, loss in enumerate(losses)
    )
    return RunRecord("id", "arm", seed, state, epochs=epochs)  # type: ignore[arg-type]


def evidence(scores: Sequence[float], *, train: float = 0.99, state: str = "finished") -> Evidence:
    runs = tuple(run(seed, train, score, state=state) for seed, score in enumerate(scores))
    return Evidence(dict(enumerate(scores)), runs)


def noisy(mean: float, n: int, seed: int = 0) -> list[float]:
    return list(mean + 0.001 * np.random.default_rng(seed).standard_normal(n))


BETTER = Claim("A", "a beats b", "better", "a", ("b",))
BEST = Claim("A", "a is best", "best", "a", ("b", "c"))


@pytest.mark.parametrize(
    ("a", "b", "n", "verdict"),
    [
        (0.99, 0.98, 8, "supported"), (0.98, 0.99, 8, "contradicted"), (0.99, 0.99, 8, "not decided"),
        (0.99, 0.98, 5, "not decided"),
    ],
)  # fmt: skip
def test_a_comparison_is_decided_by_enough_pairs_that_differ(a: float, b: float, n: int, verdict: str) -> None:
    (found,) = judge_claims([BETTER], {"a": evidence(noisy(a, n)), "b": evidence(noisy(b, n, 1))})
    assert found.verdict == verdict
    assert f"n = {n}" in found.sentence
    assert ("pairs are needed" in found.sentence) == (n < 6)


def test_pairs_are_of_one_seed() -> None:
    """Seeds that only one arm has do not count."""
    ran = (run(0, 1, 1),)
    both = {
        "a": Evidence(dict.fromkeys(range(10), 0.99), ran),
        "b": Evidence(dict.fromkeys(range(7, 20), 0.98), ran),
    }
    assert "n = 3" in judge_claims([BETTER], both)[0].sentence


def test_the_best_beats_every_other_one() -> None:
    arms = {"a": evidence(noisy(0.99, 10)), "b": evidence(noisy(0.98, 10, 1)), "c": evidence(noisy(0.97, 10, 2))}
    assert judge_claims([BEST], arms)[0].verdict == "supported"
    assert judge_claims([BEST], {**arms, "c": evidence(noisy(0.99, 10, 3))})[0].verdict == "not decided"
    assert judge_claims([BEST], {**arms, "c": evidence(noisy(0.999, 10, 3))})[0].verdict == "contradicted"
    assert judge_claims([BEST], {name: arms[name] for name in "ab"})[0].verdict == "not decided"


def test_comparisons_of_a_document_are_adjusted_together() -> None:
    """Six pairs can reach 2/64 for one comparison, and no more than twice that for the smaller of two."""
    arms = {"a": evidence(noisy(0.99, 6)), "b": evidence(noisy(0.98, 6, 1)), "c": evidence(noisy(0.97, 6, 2))}
    assert judge_claims([BETTER], arms)[0].verdict == "supported"
    assert [found.verdict for found in judge_claims([BETTER, Claim("A", "", "better", "a", ("c",))], arms)] == [
        "not decided"
    ] * 2


RISING = (0.5, 0.3, 0.2, 0.15, 0.18, 0.22, 0.26, 0.30)  # validation loss doubles after its minimum
FLAT = (0.5, 0.3, 0.2, 0.15, 0.15, 0.15, 0.15, 0.15)
OVERFITS, DOES_NOT = Claim("B", "", "overfits", "a"), Claim("B", "", "does not overfit", "a")


def trained(num_rising: int, num_flat: int, *, gap: float = 0.0, num_epochs: int = 8) -> Evidence:
    """Runs whose training loss falls to the end; the validation loss of the first of them rises meanwhile."""
    runs = []
    for seed in range(num_rising + num_flat):
        losses = (RISING if seed < num_rising else FLAT)[:num_epochs]
        epochs = tuple(
            EpochRecord(place + 1, 0.4 * 0.6**place, 0.98 + gap, loss, 0.98, 0.1, 0.98, 0.001, 1.0)
            for place, loss in enumerate(losses)
        )
        runs.append(RunRecord("id", "a", seed, "finished", epochs=epochs))
    return Evidence(dict.fromkeys(range(len(runs)), 0.98), tuple(runs))


@pytest.mark.parametrize(
    ("num_rising", "num_flat", "overfits", "does_not"),
    [
        (8, 0, "supported", "contradicted"), (0, 8, "contradicted", "supported"), (4, 4, "not decided", "not decided"),
        (6, 0, "supported", "contradicted"), (5, 0, "not decided", "not decided"),
    ],
)  # fmt: skip
def test_a_network_overfits_where_most_of_its_runs_do(
    num_rising: int, num_flat: int, overfits: str, does_not: str
) -> None:
    found = judge_claims([OVERFITS, DOES_NOT], {"a": trained(num_rising, num_flat)})
    assert [judged.verdict for judged in found] == [overfits, does_not]
    count = num_rising + num_flat
    assert f"{num_rising} of {count} runs overfit" in found[0].sentence
    assert ("seeds are needed" in found[0].sentence) == (count < 6)


@pytest.mark.parametrize(("num_rising", "num_flat", "gap"), [(7, 0, 0.0), (0, 7, 0.0), (0, 7, 0.015)])
def test_claims_and_diagnoses_agree_on_what_overfits(num_rising: int, num_flat: int, gap: float) -> None:
    """A gap of 1.5 points alone is no overfitting to either."""
    evidence = trained(num_rising, num_flat, gap=gap)
    kinds = [[one.kind for one in diagnose(curves_of_run(run))] for run in evidence.runs]
    (judged,) = judge_claims([OVERFITS], {"a": evidence})
    assert (judged.verdict == "supported") == all("overfitting" in of_run for of_run in kinds)
    assert (judged.verdict == "contradicted") == (not any("overfitting" in of_run for of_run in kinds))


def test_runs_of_few_epochs_say_nothing_of_overfitting() -> None:
    (judged,) = judge_claims([OVERFITS], {"a": trained(0, 8, num_epochs=3)})
    assert (judged.verdict, judged.sentence) == ("not decided", "no run has 4 epochs, which the rule needs")


def test_underfitting_is_not_knowing_the_training_images() -> None:
    claim = Claim("B", "", "underfits", "a")
    low = Evidence({}, tuple(run(seed, value, 0.9) for seed, value in enumerate(noisy(0.87, 8))))
    high = Evidence({}, tuple(run(seed, value, 0.9) for seed, value in enumerate(noisy(0.99, 8))))
    assert judge_claims([claim], {"a": low})[0].verdict == "supported"
    assert judge_claims([claim], {"a": high})[0].verdict == "contradicted"


def test_a_level_is_reached_by_the_mean() -> None:
    claim = Claim("E", "", "reaches", "a", level=0.9863)
    verdicts = [judge_claims([claim], {"a": evidence(noisy(mean, 10))})[0].verdict for mean in (0.99, 0.98, 0.9863)]
    assert verdicts == ["supported", "contradicted", "not decided"]


def test_runs_that_do_not_train_are_counted() -> None:
    claim = Claim("C", "", "does not train", "a")
    runs = (run(0, 0.1, 0.1), run(1, 0.8, 0.8), run(2, 0.1, 0.1, state="diverged"), run(3, 0.1, 0.1, state="running"))
    (found,) = judge_claims([claim], {"a": Evidence({}, runs)})
    assert (found.verdict, found.sentence[:7]) == ("supported", "2 of 3 ")


def test_what_has_not_run_is_not_decided_and_what_waits_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path))
    waiting = [claim for claim in CLAIMS if claim.needs]
    assert len(waiting) == 2
    assert {found.verdict for found in judge_claims(waiting, {})} == {"waiting"}
    assert {found.verdict for found in judge_claims([BETTER], {})} == {"not decided"}


def test_claims_are_about_systems() -> None:
    keys = {system.arm for system in published()}
    assert all(claim.arm in keys and set(claim.others) <= keys for claim in CLAIMS)


def test_the_spread_is_a_prediction_interval() -> None:
    """95 % of draws lie where the draws before them say that one more would."""
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(4000):
        *known, new = rng.normal(0.99, 0.002, 7)
        low, high = spread(known) or (0, 0)
        inside.append(low <= new <= high)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)
    known = [0.990, 0.991, 0.993]
    half = stats.t.ppf(0.975, 2) * np.std(known, ddof=1) * np.sqrt(1 + 1 / 3)
    assert spread(known) == pytest.approx((np.mean(known) - half, np.mean(known) + half))
    system = published()[0]  # 99.20 %
    assert is_within(system, [0.9918, 0.9922]) is True
    assert is_within(system, [0.9801, 0.9802]) is False
    assert is_within(system, [0.99]) is None


def hits_of(rng: np.random.Generator, seeds: int, gain: np.ndarray) -> dict[int, np.ndarray]:
    """Which images each seed gets right: the same ones, but for one in a hundred."""
    return {seed: gain ^ (rng.uniform(size=len(gain)) < 0.01) for seed in range(seeds)}


def test_a_comparison_that_these_images_alone_decide_names_both_readings():
    """One arm is right on ten images of 400 that the other misses, and wrong on four: for every seed the same."""
    rng = np.random.default_rng(4)
    base = np.ones(400, dtype=bool)
    better, worse = base.copy(), base.copy()
    worse[:10], better[10:14] = False, False
    a, b = hits_of(rng, 10, better), hits_of(rng, 10, worse)
    runs = tuple(run(seed, 0.9, 0.9) for seed in range(10))
    evidence = {
        name: Evidence({seed: float(row.mean()) for seed, row in hits.items()}, runs, hits)
        for name, hits in (("a", a), ("b", b))
    }
    claim = Claim("A", "a is better", "better", "a", ("b",))
    (verdict,) = judge_claims([claim], evidence)
    assert verdict.verdict == "not decided"
    assert "(on these images alone better than b)" in verdict.sentence
    (alone,) = judge_claims([claim], {name: Evidence(one.scores, runs) for name, one in evidence.items()})
    assert alone.verdict == "supported"
    assert "(against b of these images alone, since runs have no stored results of single images)" in alone.sentence
    assert "of these images alone" not in verdict.sentence

    def drawn_by(images):
        rows = {name: Evidence(one.scores, runs, one.hits, images) for name, one in evidence.items()}
        return judge_claims([claim], rows)[0].verdict

    # As validation images they may be the same for every seed, or others.
    assert drawn_by({seed: np.arange(1_000, 1_400) for seed in range(10)}) == "not decided"
    assert drawn_by({seed: np.arange(400) + 400 * seed for seed in range(10)}) == "supported"
