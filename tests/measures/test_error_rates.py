"""Verdicts by other measures call no more differences that are not there than they may, and some that are."""

from __future__ import annotations

import math

import pytest

from .simulation import Design, called, cells


@pytest.mark.parametrize(("name", "studies"), [("balanced_accuracy", 200), ("macro_auc", 60), ("log_loss", 200)])
def test_false_calls_stay_at_5_percent(name: str, studies: int) -> None:
    """All seeds share 200 images, 20 of them of the rarer class: seeds alone call far too often."""
    with_images, alone = called(name, Design("2 classes, 1 to 9", 200, 10), studies)
    # Four standard errors of a share of so many studies at 5 %.
    assert with_images <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / studies)
    assert alone > with_images


def test_a_true_difference_is_called() -> None:
    with_images, _ = called("log_loss", Design("4 classes", 1000, 10, gain=1.0), 60)
    assert with_images > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_auc", "log_loss"])
def test_false_calls_of_every_design(name: str) -> None:
    """Each cell within four standard errors of 5 %, and their mean at or below 5 within two."""
    studies = 1000 if name != "macro_auc" else 250
    rates = [called(name, design, studies, seed=place)[0] for place, design in enumerate(cells())]
    assert max(rates) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / studies)
    assert sum(rates) / len(rates) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / (studies * len(rates)))
