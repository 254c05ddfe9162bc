from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from assay.report.figures import (
    accuracy_against_parameters,
    accuracy_against_time,
    difference_strip,
    learning_curves,
    score_strip,
)
from assay.report.palette import arm_styles

A = (0.980, 0.982, 0.981)
B = (0.983, 0.986, 0.983)


def traces(figure, arm, kind):
    return [trace for trace in json.loads(figure.to_json())["data"] if trace.get("meta") == {"arm": arm, "kind": kind}]


def test_the_strip_shows_every_score_and_the_interval(make_study):
    from assay.stats import mean_interval

    figure = score_strip(make_study({"a": A, "b": B}))
    for arm, scores in (("a", A), ("b", B)):
        (dots,) = traces(figure, arm, "runs")
        assert dots["x"] == pytest.approx([100 * score for score in scores])
        assert dots["customdata"] == [0, 1, 2]
        (mean,) = traces(figure, arm, "mean")
        interval = mean_interval(scores)
        assert mean["x"] == pytest.approx([100 * interval.mean])
        assert mean["customdata"][0] == pytest.approx([100 * interval.low, 100 * interval.high])
        assert mean["x"][0] + mean["error_x"]["array"][0] == pytest.approx(100 * interval.high)


def test_two_arms_have_their_seeds_joined_and_three_do_not(make_study):
    joined = next(t for t in json.loads(score_strip(make_study({"a": A, "b": B})).to_json())["data"] if "meta" not in t)
    assert joined["x"] == pytest.approx([98.0, 98.3, None, 98.2, 98.6, None, 98.1, 98.3, None], nan_ok=True)
    three = json.loads(score_strip(make_study({"a": A, "b": B, "c": A})).to_json())["data"]
    assert all("meta" in trace for trace in three)


def test_differences_are_in_points(make_study):
    (dots,) = traces(difference_strip(make_study({"a": A, "b": B})), "b", "runs")
    assert dots["x"] == pytest.approx([0.3, 0.4, 0.2])


@pytest.mark.parametrize("measured", ["train", "validation"])
@pytest.mark.parametrize(("metric", "scale"), [("accuracy", 100.0), ("loss", 1.0)])
def test_curves_hold_every_recorded_epoch(make_study, metric, scale, measured):
    study = make_study({"a": A, "b": B})
    (thin,) = traces(learning_curves(study, metric, measured), "a", "runs")
    expected = []
    for run in study.runs_of("a"):
        expected += [scale * getattr(epoch, f"{measured}_{metric}") for epoch in run.epochs] + [None]
    assert thin["y"] == pytest.approx(expected)
    assert thin["x"] == [1, 2, 3, None] * 3


def test_the_mean_curve_is_the_mean_of_the_finished_runs(make_study):
    study = make_study({"a": (*A, "running", "diverged")})
    figure = learning_curves(study, "accuracy", "validation")
    (mean,) = traces(figure, "a", "mean")
    assert mean["y"][-1] == pytest.approx(100 * sum(A) / 3)
    assert mean["customdata"][-1].endswith("n = 3")
    (band,) = traces(figure, "a", "band")
    assert len(band["x"]) == 6
    assert traces(figure, "a", "runs")[0]["x"].count(None) == 5


def test_the_running_average_stands_beside_training_and_is_hidden_at_first(make_study):
    study = make_study({"a": A})
    (running,) = traces(learning_curves(study, "accuracy", "train"), "a", "running")
    assert running["visible"] is False
    assert running["y"][-1] == pytest.approx(100 * (sum(A) / 3 - 0.02))
    assert traces(learning_curves(study, "accuracy", "validation"), "a", "running") == []


def test_a_loss_that_is_no_number_leaves_a_gap(make_study):
    figure = learning_curves(make_study({"a": ("diverged", *A)}), "loss", "validation")
    assert traces(figure, "a", "runs")[0]["y"][0] is None


def test_a_diverged_run_does_not_squeeze_the_others(make_study):
    figure = learning_curves(make_study({"a": (*A, "diverged")}), "accuracy", "validation")
    assert figure.layout.yaxis.range[0] > 90


def test_one_epoch_is_drawn_as_points(make_study):
    figure = learning_curves(make_study({"a": A}, epochs=1), "loss", "train")
    assert traces(figure, "a", "mean")[0]["mode"] == "markers"


def test_cost_is_that_of_finished_runs(make_study):
    figure = accuracy_against_time(make_study({"a": (*A, "running")}))
    (dots,) = traces(figure, "a", "runs")
    assert dots["x"] == [10.0, 11.0, 12.0]
    assert dots["y"] == pytest.approx([100 * score for score in A])
    (mean,) = traces(figure, "a", "mean")
    assert (mean["x"], mean["y"]) == ([pytest.approx(11.0)], [pytest.approx(100 * sum(A) / 3)])


@pytest.mark.parametrize("split", ["validation", "test"])
def test_accuracy_stands_against_parameters_with_its_interval(make_study, split):
    from assay.stats import mean_interval

    study = make_study({"a": A, "b": B}, tests={"a": B, "b": A})
    figure = accuracy_against_parameters(study, {"a": 700, "b": 6000}, split)
    shown = {"a": A, "b": B} if split == "validation" else {"a": B, "b": A}
    for arm, parameters in (("a", 700), ("b", 6000)):
        (mean,) = traces(figure, arm, "mean")
        interval = mean_interval(shown[arm])
        assert (mean["x"], mean["y"]) == ([parameters], [pytest.approx(100 * interval.mean)])
        assert mean["y"][0] + mean["error_y"]["array"][0] == pytest.approx(100 * interval.high)
    assert (figure.layout.xaxis.type, figure.layout.yaxis.title.text) == ("log", f"{split} accuracy")
    assert "1,000" in figure.layout.xaxis.ticktext


def test_folds_of_a_seed_count_once_in_an_interval(make_study):
    from assay.stats import mean_interval

    study = make_study({"a": (0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.85, 0.85, 0.85)})
    runs = tuple(dataclasses.replace(run, seed=run.seed // 3, fold=run.seed % 3 + 1) for run in study.runs)
    figure = accuracy_against_time(dataclasses.replace(study, runs=runs))
    (mean,) = traces(figure, "a", "mean")
    interval = mean_interval([0.9, 0.8, 0.85])
    assert mean["y"][0] + mean["error_y"]["array"][0] == pytest.approx(100 * min(interval.high, 1.0))
    assert mean["y"][0] - mean["error_y"]["arrayminus"][0] == pytest.approx(100 * interval.low)


def test_no_accuracy_is_drawn_beyond_its_scale(make_study):
    study = make_study({"a": (1.0, 0.9, 0.95), "b": (0.0, 0.1, 0.05)})
    figure = score_strip(study)
    (above,), (below,) = traces(figure, "a", "mean"), traces(figure, "b", "mean")
    assert above["x"][0] + above["error_x"]["array"][0] == pytest.approx(100.0)
    assert below["x"][0] - below["error_x"]["arrayminus"][0] == pytest.approx(0.0)
    (band,) = traces(learning_curves(study, "accuracy", "validation"), "a", "band")
    assert max(band["y"]) == 100.0


def test_a_strip_of_some_arms_keeps_their_looks_and_order(make_study):
    study = make_study({"a": A, "b": B, "c": A})
    figure = score_strip(study, only=["c", "a"])
    names = [trace.name for trace in figure.data if (trace.meta or {}).get("kind") == "runs"]
    assert names == ["c", "a"]
    assert traces(figure, "c", "runs")[0]["marker"]["color"] == arm_styles(study)["c"].colour


def test_an_arm_looks_the_same_everywhere_and_unlike_every_other(make_study):
    study = make_study({f"arm {i}": A for i in range(20)})
    styles = arm_styles(study)
    assert len({(style.colour, style.symbol, style.dash) for style in styles.values()}) == 20
    for figure in (score_strip(study), accuracy_against_time(study), learning_curves(study, "loss", "train")):
        for arm, style in styles.items():
            assert traces(figure, arm, "runs")[0]["marker"]["color"] == style.colour


def test_names_are_not_read_as_markup(make_study):
    figure = score_strip(make_study({"<b>a</b>": A, "b & c": B}))
    assert [trace.name for trace in figure.data[1::2]] == ["&lt;b&gt;a&lt;/b&gt;", "b &amp; c"]
    assert "<b>" not in " ".join(annotation.text for annotation in figure.layout.annotations)


def test_equal_scores_of_a_strip_stand_side_by_side(make_study):
    figure = score_strip(make_study({"a": (0.98,) * 6, "b": (0.97, 0.98, 0.99)}))
    (dots,), (others,) = traces(figure, "a", "runs"), traces(figure, "b", "runs")
    assert len(set(dots["y"])) == 6
    assert len(set(others["y"])) == 1
    # Six dots of 9 pixels: the row has grown, and they stand one beside the other.
    pixels = figure.layout.height / (figure.layout.yaxis.range[0] - figure.layout.yaxis.range[1])
    steps = np.diff(sorted(dots["y"])) * pixels
    assert (steps >= 8).all()
    lines = next(trace for trace in json.loads(figure.to_json())["data"] if "meta" not in trace)
    assert lines["y"][:2] == [dots["y"][0], others["y"][0]]  # a pair's line ends at its dots


@pytest.mark.parametrize(("scores", "has_band"), [(A[:1], False), (A[:2], False), (A, True)])
def test_a_band_needs_three_runs(make_study, scores, has_band):
    figure = learning_curves(make_study({"a": scores}), "accuracy", "validation")
    assert bool(traces(figure, "a", "band")) == has_band
    (mean,) = traces(figure, "a", "mean")
    assert mean["customdata"][0].endswith(f"n = {len(scores)}")


@pytest.mark.parametrize("epochs", [1, 2, 3, 9, 40])
def test_an_axis_of_epochs_has_two_labelled_ticks(make_study, epochs):
    axis = learning_curves(make_study({"a": A}, epochs=epochs), "accuracy", "validation").layout.xaxis
    low, high = axis.range
    ticks = [axis.tick0 + k * axis.dtick for k in range(200) if low <= axis.tick0 + k * axis.dtick <= high]
    assert len(ticks) >= 2
