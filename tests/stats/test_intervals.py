from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.stats

from assay.errors import TooFewSeeds
from assay.stats import mean_bands, mean_interval, prediction_interval


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_the_interval_is_scipys(confidence):
    scores = np.random.default_rng(0).normal(0.9, 0.02, size=7)
    ours = mean_interval(scores, confidence=confidence)
    theirs = scipy.stats.ttest_1samp(scores, 0.0).confidence_interval(confidence)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)
    assert (ours.mean, ours.n, ours.confidence) == (pytest.approx(scores.mean()), 7, confidence)
    assert "Student" in ours.source


@pytest.mark.parametrize("seeds", [2, 5, 20])
def test_intervals_hold_the_true_mean_as_often_as_they_claim(seeds):
    rng = np.random.default_rng(1908)
    studies = rng.normal(loc=0.9, scale=0.01, size=(4000, seeds))
    held = [i.low <= 0.9 <= i.high for i in map(mean_interval, studies)]
    # Four standard errors of a share of 4000 draws at 95 %: 4 * sqrt(0.95 * 0.05 / 4000).
    assert np.mean(held) == pytest.approx(0.95, abs=0.0138)


def test_equal_scores_have_an_interval_of_no_width():
    interval = mean_interval([0.5, 0.5, 0.5])
    assert (interval.mean, interval.low, interval.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("scores", "said"), [([], "0 scores"), ([0.9], "1 score,")])
def test_one_score_has_no_interval(scores, said):
    with pytest.raises(TooFewSeeds, match=said):
        mean_interval(scores)


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_refused(broken):
    with pytest.raises(ValueError, match=r"score 1 .* not finite"):
        mean_interval([0.9, broken])


def test_a_table_of_scores_is_refused():
    with pytest.raises(ValueError, match="one row"):
        mean_interval([[0.9, 0.8]])


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_confidence_is_a_share(confidence):
    with pytest.raises(ValueError, match="share between 0 and 1"):
        mean_interval([0.9, 0.8], confidence=confidence)


def test_importing_stats_imports_no_scipy():
    code = (
        "import assay.stats, sys; sys.exit(any(m.split('.')[0] in {'scipy', 'pandas', 'torch'} for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_band_is_the_interval_of_each_column():
    rows = np.random.default_rng(1908).normal(0.9, 0.01, (5, 7))
    mean, low, high = mean_bands(rows, confidence=0.9)
    for column in range(7):
        interval = mean_interval(rows[:, column], confidence=0.9)
        assert (mean[column], low[column], high[column]) == pytest.approx((interval.mean, interval.low, interval.high))
    rows[2, 3] = np.nan
    assert [bool(np.isnan(ends[3])) for ends in mean_bands(rows)] == [True] * 3
    alone, low, high = mean_bands(rows[:1])
    assert np.array_equal(alone, rows[0])
    assert np.isnan([low, high]).all()


def test_a_prediction_interval_holds_the_next_score_as_often_as_it_claims():
    draws = np.random.default_rng(1991).normal(0.9, 0.01, (4000, 6))
    found = [prediction_interval(row[:5]) for row in draws]
    held = [one.low <= row[5] <= one.high for one, row in zip(found, draws, strict=True)]
    # Four standard errors of a share of 4000 draws at 95 %: 4 * sqrt(0.95 * 0.05 / 4000).
    assert np.mean(held) == pytest.approx(0.95, abs=0.0138)
    with pytest.raises(TooFewSeeds):
        prediction_interval([0.9])
