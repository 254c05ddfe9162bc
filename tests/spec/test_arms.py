from __future__ import annotations

import pytest

from assay.errors import SpecError
from assay.spec.arms import arm_name

ARMS = ["dropout=0, kernel=3x3", "dropout=0, kernel=5x5", "dropout=0.5, kernel=3x3", "dropout=0.5, kernel=5x5"]
RATES = ["rate=0", "rate=0.0001", "rate=0.3"]


@pytest.mark.parametrize(
    ("typed", "known", "meant"),
    [
        ("rate=0", RATES, "rate=0"),
        ("rate=0.0", RATES, "rate=0"),
        ("rate=1e-4", RATES, "rate=0.0001"),
        ("rate=.30", RATES, "rate=0.3"),
        ("Rate = 0.3", RATES, "rate=0.3"),
        ("kernel=5x5,dropout=0.50", ARMS, "dropout=0.5, kernel=5x5"),
        ("2 Conv", ["1 conv", "2 conv"], "2 conv"),
    ],
)
def test_an_arm_may_be_written_as_people_write_numbers(typed, known, meant):
    assert arm_name(typed, known, "s") == meant


@pytest.mark.parametrize(
    ("typed", "known", "fix"),
    [
        ("rate=0.29", RATES, 'did you mean "rate=0.3"?'),
        ("rate=0.001", RATES, 'did you mean "rate=0.0001"?'),
        ("dropout=0.4, kernel=3x3", ARMS, 'did you mean "dropout=0.5, kernel=3x3"?'),
        ("dropout=0, kernel=5x", ARMS, 'did you mean "dropout=0, kernel=5x5"?'),
        ("nothing", RATES, "known: rate=0, rate=0.0001, rate=0.3"),
    ],
)
def test_another_arm_is_suggested_by_its_number_or_its_spelling(typed, known, fix):
    with pytest.raises(SpecError) as caught:
        arm_name(typed, known, "s")
    assert caught.value.problems[0].fix == fix


def test_two_arms_that_read_alike_are_both_named():
    with pytest.raises(SpecError, match="name one of Net, nET"):
        arm_name("net", ["Net", "nET"], "s")
