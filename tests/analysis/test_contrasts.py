from __future__ import annotations

import dataclasses

import pytest

from assay.analysis import answer, arm_scores, contrasts, failure_sentence
from assay.analysis.scores import counted_epoch
from assay.stats import mean_interval, paired_difference

from ..recorded import with_arms

A = (0.980, 0.982, 0.981, 0.979, 0.983, 0.980, 0.981, 0.982, 0.978, 0.984)
B = (0.983, 0.986, 0.983, 0.983, 0.985, 0.984, 0.983, 0.986, 0.982, 0.986)


def test_scores_are_validation_accuracy_after_the_last_epoch(make_study):
    a, b = arm_scores(make_study({"a": A, "b": B}))
    assert (a.scores, b.scores, a.seeds) == (A, B, tuple(range(10)))
    assert a.interval == mean_interval(A)
    assert a.mean == pytest.approx(a.interval.mean)


def test_two_arms_are_compared_seed_by_seed(make_study):
    (contrast,) = contrasts(make_study({"a": A, "b": B}))
    plain = paired_difference(A, B, confidence=1 - 0.05 * 0.86)  # a planned look's part of the 5 %
    assert contrast.difference.mean == plain.mean
    assert (contrast.difference.low, contrast.difference.high) == pytest.approx((plain.low, plain.high))
    assert contrast.differences == pytest.approx([b - a for a, b in zip(A, B, strict=True)])
    assert contrast.outcome == "better"
    assert contrast.sentence.startswith("b is better than a: accuracy is 0.31 points higher (95 % interval 0.2")


def test_only_seeds_with_a_score_in_both_arms_pair(make_study):
    study = make_study({"a": ("diverged", *A[1:]), "b": (*B[:9], "queued")})
    (contrast,) = contrasts(study)
    assert contrast.seeds == tuple(range(1, 9))
    assert contrast.difference.mean == paired_difference(A[1:9], B[1:9]).mean
    assert contrast.finding.bad_runs.failed == (1, 0)


def test_a_running_run_has_no_score_yet(make_study):
    (arm,) = arm_scores(make_study({"a": (0.9, "running", "queued")}))
    assert (arm.n, arm.num_runs, arm.interval) == (1, 3, None)


def test_every_arm_is_compared_with_the_first_and_holm_adjusts(make_study):
    found = contrasts(make_study({"a": A, "b": B, "c": A, "d": ["queued"] * 10}))
    assert [contrast.arm for contrast in found] == ["b", "c", "d"]
    b, c, d = found
    assert b.adjusted_p == pytest.approx(3 * b.difference.p_value / 0.86)
    assert (b.outcome, c.outcome, d.outcome) == ("better", "undecided", "too few seeds")
    assert d.difference is None
    assert d.sentence == "Not enough seeds for a verdict: 0 pairs, 7 are needed for 3 contrasts"


def test_test_scores_have_contrasts_of_their_own(make_study):
    study = make_study({"a": A, "b": A}, tests={"a": A, "b": B}, num_looks=1)
    assert contrasts(study)[0].outcome == "undecided"
    assert contrasts(study, split="test")[0].outcome == "better"


def folded(study, folds: int):
    """The study with every run as so many folds, fold k scoring k - 1 points more; the last seed of all lacks one."""
    runs = []
    for run in study.runs:
        for fold in range(1, folds + 1):
            last = dataclasses.replace(
                run.epochs[-1], validation_accuracy=run.epochs[-1].validation_accuracy + 0.01 * (fold - 1)
            )
            runs.append(dataclasses.replace(run, fold=fold, epochs=(*run.epochs[:-1], last)))
    runs[-1] = dataclasses.replace(runs[-1], state="failed")
    return dataclasses.replace(study, runs=tuple(runs))


def test_a_seeds_score_is_the_mean_of_all_of_its_folds(make_study):
    study = folded(make_study({"a": A, "b": B}), 3)
    a, b = arm_scores(study)
    assert a.scores == pytest.approx([score + 0.01 for score in A])
    assert a.folds[0] == pytest.approx((0.980, 0.990, 1.000))
    assert (a.n, a.num_runs, b.n, b.num_runs, b.seeds) == (10, 10, 9, 10, tuple(range(9)))
    (contrast,) = contrasts(study)
    assert contrast.differences == pytest.approx([b - a for a, b in zip(A[:9], B[:9], strict=True)])
    assert failure_sentence(study).endswith("1 of 30 of b failed")


def test_scores_are_of_the_epoch_that_was_kept(make_study):
    study = make_study({"a": (0.9, 0.8)})
    kept = tuple(dataclasses.replace(run, kept_epoch=2) for run in study.runs)
    (arm,) = arm_scores(dataclasses.replace(study, runs=kept))
    assert arm.scores == tuple(run.epochs[1].validation_accuracy for run in study.runs)
    assert counted_epoch(study) == "after the last epoch"
    chosen = with_arms(study, training={"keep": {"best": "validation_loss"}})
    assert counted_epoch(chosen) == "after the epoch with the best validation loss"
    assert any("chosen on the validation images that score it" in note for note in answer(chosen).notes)
    assert not any("chosen on" in note for note in answer(study).notes)


def test_failed_runs_are_counted_by_arm(make_study):
    study = make_study({"a": A, "b": ("diverged", "out of memory", *B[2:])})
    assert failure_sentence(study) == (
        "2 runs have no score and no part in means: 2 of 10 of b diverged or ran out of memory"
    )
    assert failure_sentence(make_study({"a": A})) == ""


@pytest.mark.parametrize(
    ("scores", "tone", "headline"),
    [
        ({"a": A, "b": B}, "decided", "b is better than a: accuracy is 0.31 points higher"),
        ({"a": A, "b": A}, "undecided", "No difference seen: a and b score the same on all 10 seeds"),
        ({"a": A[:3], "b": B[:3]}, "refused", "Not enough seeds for a verdict: 3 pairs, 6 are needed"),
        ({"a": A}, "estimate", "a scores 98.10 % [97.97, 98.23], n = 10"),
        ({"a": A[:1]}, "estimate", "a scores 98.00 %, n = 1"),
        ({"a": ["queued"], "b": ["running"]}, "none", "0 of 2 runs have finished (1 queued, 1 running)"),
        ({"a": A, "b": B, "c": A}, "partly", "Of 2 arms against a, 1 is better and 1 is undecided"),
        (
            {"a": A[:5], "b": B[:5], "c": (*B[:4], "diverged")},
            "refused",
            "Not enough seeds for a verdict: 4 to 5 pairs, 7 are needed for 2 contrasts",
        ),
    ],
)
def test_the_answer_says_as_much_as_n_allows(make_study, scores, tone, headline):
    found = answer(make_study(scores))
    assert found.tone == tone
    assert found.headline.startswith(headline)


def test_a_refusal_says_how_many_seeds_would_do(make_study):
    notes = " ".join(answer(make_study({"a": A[:3], "b": B[:3]})).notes)
    assert "raise count under [seeds] from 3 to 6" in notes
    notes = " ".join(answer(make_study({"a": A[:5], "b": ("diverged", *B[1:5])})).notes)
    assert "from 5 to 7" in notes


def test_advice_for_folds_counts_folds(make_study):
    """Six folds are enough for their test, however many seeds they lie in: two seeds of five folds."""
    study = folded(make_study({"a": A[:1], "b": B[:1], "c": B[:1]}), 5)
    study = dataclasses.replace(study, runs=tuple(dataclasses.replace(run, state="finished") for run in study.runs))
    found = answer(study)
    assert found.headline == "Not enough seeds for a verdict: 5 folds, 6 are needed"
    assert "raise count under [seeds] from 1 to 2" in " ".join(found.notes)
    two = folded(make_study({"a": A[:2], "b": B[:2], "c": B[:2]}), 5)
    assert answer(dataclasses.replace(two, runs=two.runs[:-5])).tone != "refused"


def test_crossed_factors_are_the_headline(make_study):
    cells = [("0", "3x3"), ("0", "5x5"), ("0.5", "3x3"), ("0.5", "5x5")]
    levels = {f"dropout={d}, kernel={k}": {"dropout": d, "kernel": k} for d, k in cells}
    kernels = [0.001 * (-1) ** seed for seed in range(10)]  # of no effect on average
    rows = [[a + bool(d) * 0.02 + bool(k) * e for a, e in zip(A, kernels, strict=True)] for d in (0, 1) for k in (0, 1)]
    found = answer(make_study(dict(zip(levels, rows, strict=True)), levels=levels))
    assert found.tone == "partly"
    assert found.headline == "dropout 0.5 is better than dropout 0; between kernel 3x3 and kernel 5x5 it is undecided"
    assert found.verdicts == found.effects


def test_a_study_without_runs_has_no_answer(make_study):
    found = answer(make_study({"a": (), "b": ()}))
    assert (found.tone, found.headline) == ("none", "No run has been planned yet")
