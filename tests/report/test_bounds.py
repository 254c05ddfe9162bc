"""No accuracy is printed or drawn beyond 0 and 100 %."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from assay.analysis.answer import retrained_sentences
from assay.analysis.scores import accuracy_interval, metric_bands, metric_interval
from assay.documents.page import spread
from assay.report import as_latex, as_markdown
from assay.stats import mean_bands, mean_interval
from assay.store.records import EpochRecord

from ..recorded import run_of

NEARLY_ALL = [1.0, 1.0, 1.0, 0.99, 1.0, 0.93, 1.0, 1.0]  # Student's interval ends at 1.01
CELLS = list(itertools.product(("0", "0.5"), ("3x3", "5x5")))
NAMES = [f"dropout={dropout}, kernel={kernel}" for dropout, kernel in CELLS]
LEVELS = {name: {"dropout": cell[0], "kernel": cell[1]} for name, cell in zip(NAMES, CELLS, strict=True)}


@pytest.fixture
def study(make_study):
    scores = {name: NEARLY_ALL[at:] + NEARLY_ALL[:at] for at, name in enumerate(NAMES)}
    made = make_study(scores, levels=LEVELS, tests=scores, num_looks=1)
    anew = tuple(run_of(NAMES[0], 9, seed, score, 3, score) for seed, score in enumerate(NEARLY_ALL))
    runs = tuple(replace(run, epochs=tuple(possible(epoch) for epoch in run.epochs)) for run in made.runs)
    return replace(made, runs=runs, retrained=anew)


def possible(epoch: EpochRecord) -> EpochRecord:
    """Made-up training accuracies lie half a point above the validation's."""
    return replace(epoch, train_accuracy=min(epoch.train_accuracy, 1.0))


def test_the_scores_are_such_that_a_plain_interval_leaves_the_range():
    assert mean_interval(NEARLY_ALL).high > 1
    assert accuracy_interval(NEARLY_ALL).high == 1.0
    assert accuracy_interval([1 - score for score in NEARLY_ALL]).low == 0.0


def test_losses_end_at_zero_alone():
    interval = metric_interval([0.0, 0.0, 5.0], "validation_loss")
    assert (interval.low, interval.high) == (0.0, mean_interval([0.0, 0.0, 5.0]).high)


def test_bands_are_the_intervals_of_their_columns():
    columns = np.array([NEARLY_ALL, [score / 2 for score in NEARLY_ALL]]).T
    mean, low, high = metric_bands(columns, "train_accuracy")
    for at in range(2):
        interval = accuracy_interval(columns[:, at])
        assert (mean[at], low[at], high[at]) == pytest.approx((interval.mean, interval.low, interval.high))
    assert metric_bands(columns, "train_loss")[2] == pytest.approx(mean_bands(columns)[2])
    assert all(np.isnan(ends).all() for ends in metric_bands(columns[:1], "train_accuracy")[1:])  # one seed


def test_no_percentage_of_a_report_is_above_100(study, page_of):
    texts = [
        page_of(study).get_text(" "),
        as_markdown(study, summaries={}, version="0"),
        as_latex(study, summaries={}, version="0").replace("\\%", "%"),
        *retrained_sentences(study),
    ]
    for text in texts:
        percentages = [float(number) for number in re.findall(r"(\d+\.\d+) %", text)]
        assert percentages
        assert max(percentages) <= 100
        # Intervals of accuracies; those of differences have a sign at both ends.
        ends = [float(end) for pair in re.findall(r"\[(\d+\.\d+), (\d+\.\d+)\]", text) for end in pair]
        assert ends
        assert max(ends) <= 100


def test_no_figure_of_a_report_draws_or_labels_more_than_100(study, page_of):
    checked = 0
    for script in page_of(study).find_all("script", id=re.compile("^figure-")):
        figure = json.loads(script.string)
        for side in "xy":
            axis = figure["layout"].get(f"{side}axis", {})
            if axis.get("ticksuffix") != " %":
                continue
            checked += 1
            assert axis["range"][1] <= 100 if "range" in axis else axis["autorangeoptions"]["clipmax"] == 100
            for trace in figure["data"]:
                values = [value for value in trace.get(side) or () if value is not None]
                beyond = trace.get(f"error_{side}", {}).get("array", [0.0] * len(values))
                far = [value + more for value, more in zip(values, beyond, strict=True)]
                assert max(far, default=0.0) <= 100 + 1e-9, (script["id"], trace["name"])
    assert checked >= 5


def test_one_more_run_lies_within_the_range_too():
    assert spread(NEARLY_ALL)[1] == 1.0
