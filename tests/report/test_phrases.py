from __future__ import annotations

import pytest

from assay.analysis import contrasts
from assay.report.phrases import parted, unbroken

from ..recorded import MakeStudy

A = (0.980, 0.982, 0.981, 0.979, 0.983, 0.980, 0.981, 0.982, 0.978, 0.984)
B = (0.983, 0.986, 0.983, 0.983, 0.985, 0.984, 0.983, 0.986, 0.982, 0.986)
MIXED = (0.981, 0.981, 0.980, 0.980, 0.984, 0.979, 0.982, 0.981, 0.979, 0.983)


def test_a_number_stays_with_its_unit() -> None:
    text = "0.31 points higher (95 % interval 0.10 to 0.52, 10 seeds)"
    assert unbroken(text).split(" ") == [
        "0.31\N{NO-BREAK SPACE}points", "higher", "(95\N{NO-BREAK SPACE}%", "interval", "0.10", "to", "0.52,",
        "10\N{NO-BREAK SPACE}seeds)",
    ]  # fmt: skip
    assert unbroken("6 pointsettias, width 8 is better") == "6 pointsettias, width 8 is better"


@pytest.mark.parametrize("other", [B, MIXED, A, tuple(score + 0.005 for score in A)])
def test_a_verdict_is_its_claim_and_then_its_figures(make_study: MakeStudy, other: tuple[float, ...]) -> None:
    (contrast,) = contrasts(make_study({"a (old)": A, "b": other}))
    claim, figures = parted(contrast.sentence)
    assert " ".join(filter(None, (claim, figures))) == contrast.sentence
    assert "interval" not in claim
    # Equal scores have no interval to set apart.
    assert figures.startswith(("(95 % interval ", "(the same on each of 10 seeds")) == (other is not A)
    assert parted(unbroken(contrast.sentence)) == (unbroken(claim), unbroken(figures))


def test_a_refusal_is_all_claim() -> None:
    text = "Not enough seeds for a verdict: 3 pairs, 6 are needed"
    assert parted(text) == (text, "")
