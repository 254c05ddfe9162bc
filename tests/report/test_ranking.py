"""The ranking claims no more than its tests can, wherever it is shown."""

from __future__ import annotations

import numpy as np
import pytest

from assay.analysis import compare_study
from assay.analysis.contrasts import ranking_of
from assay.cli.compare import comparison_lines
from assay.report.figures import critical_difference
from assay.report.tables import ranking_table

REFUSAL = "Which of 5 arms differ cannot be said from 8 seeds: comparing every two of them is 10 tests"


def arms(seeds: int) -> dict[str, list[float]]:
    """Five arms, each 3 points above the one before."""
    noise = np.random.default_rng(3).normal(scale=0.002, size=(5, seeds))
    return {f"arm-{index}": (0.7 + 0.03 * index + row).tolist() for index, row in enumerate(noise)}


@pytest.mark.parametrize(("seeds", "is_refused"), [(8, True), (9, False)])
def test_too_few_seeds_join_no_arms(make_study, page_of, seeds, is_refused):
    study = make_study(arms(seeds))
    comparison = compare_study(study)
    assert [contrast.outcome for contrast in comparison.contrasts] == ["better"] * 4
    text = " ".join(" ".join(comparison_lines(comparison)).split())
    assert (REFUSAL in text) == is_refused
    assert ("share a letter" in text) != is_refused
    shown = [
        line.split() for line in comparison_lines(comparison) if line.split() and line.split()[-1].startswith("arm-")
    ]
    assert ["5.00", "arm-0"] in shown  # no letter
    assert comparison.as_dict()["ranking"]["needed"] == (9 if is_refused else None)
    ranking = ranking_of(study)
    assert (REFUSAL in ranking_table(study, ranking).caption) == is_refused
    assert not [trace for trace in critical_difference(study, ranking).data if trace.name == "not told apart"]
    page = " ".join(page_of(study).get_text().split())
    assert (REFUSAL in page) == is_refused
    assert ("A bar joins arms" in page) != is_refused
