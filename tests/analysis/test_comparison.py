"""Verdicts on made-up studies: what is compared, what is said, and what is left out."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest

from assay.analysis import answer, compare_study, contrasts, stop_sentences
from assay.analysis.contrasts import blocks, factor_effects, ranking_of
from assay.analysis.images import duel, networks
from assay.errors import SpecError
from assay.report import summary_html
from assay.report.figures import critical_difference, interaction_plot
from assay.stats import corrected_resampled_difference, effect_values, effects, mcnemar, mean_interval
from assay.store.records import SearchRecord

from ..recorded import study_of, with_arms, with_spec

CELLS = list(itertools.product(("0", "0.5"), ("3x3", "5x5")))
NAMES = [f"dropout={d}, kernel={k}" for d, k in CELLS]
LEVELS = dict(zip(NAMES, ({"dropout": d, "kernel": k} for d, k in CELLS), strict=True))


def scores(effects_of_arms: list[float], seeds: int = 10, noise: float = 0.001) -> list[list[float]]:
    rng = np.random.default_rng(5)
    shared = rng.normal(0.9, 0.01, seeds)
    return [(shared + effect + rng.normal(0, noise, seeds)).tolist() for effect in effects_of_arms]


def compare_answer(study) -> str:
    """The headline beside another arm, which counts outcomes."""
    a = [run.epochs[-1].validation_accuracy for run in study.runs_of("a")]
    b = [run.epochs[-1].validation_accuracy if run.state == "finished" else run.state for run in study.runs_of("b")]
    return answer(study_of({"a": a, "b": b, "c": a})).headline


def with_seeds(study, **seeds):
    return with_spec(study, seeds={"vary": ["split", "init", "order"], **seeds})


@pytest.fixture
def crossed(make_study):
    """Dropout adds a point, and two more where the kernel is 5x5."""
    return make_study(dict(zip(NAMES, scores([0.0, 0.0, 0.01, 0.03]), strict=True)), levels=LEVELS)


def test_crossed_factors_have_main_effects_and_interactions(crossed):
    found = compare_study(crossed)
    assert [(c.effect.factor, c.effect.by, c.outcome) for c in found.effects] == [
        ("dropout", "", "better"), ("kernel", "", "better"), ("dropout", "kernel", "better"),
    ]  # fmt: skip
    told = [c.sentence for c in found.effects]
    assert told[0].startswith("dropout 0.5 is better than dropout 0: accuracy is 1.99")
    assert told[2].startswith("The effect of dropout 0 to 0.5 is larger with kernel 5x5 than with kernel 3x3, by ")
    assert [c.difference.mean for c in found.effects] == pytest.approx([0.02, 0.01, 0.02], abs=0.001)
    assert [c.label for c in found.effects] == ["better", "better", "depends"]
    assert len(found.contrasts) == 3
    _, table = blocks(crossed)
    values = effect_values(table, effects([arm.levels for arm in crossed.arms])[0].weights)
    assert found.effects[0].difference.mean == pytest.approx(mean_interval(values).mean)


def test_one_factor_and_two_arms_can_be_asked_for(crossed):
    only = compare_study(crossed, "kernel")
    assert [(c.effect.factor, c.effect.by) for c in only.effects] == [("kernel", ""), ("dropout", "kernel")]
    assert only.contrasts == ()
    (pair,) = compare_study(crossed, NAMES[1], NAMES[3]).contrasts
    # All six pairs of arms are one family, which comes after the three effects that were planned.
    assert (pair.baseline, pair.arm, pair.finding.num_contrasts, pair.is_planned) == (NAMES[1], NAMES[3], 6, False)
    assert any("picked after seeing" in note for note in compare_study(crossed, NAMES[1], NAMES[3]).notes)


def test_everything_has_a_plain_form(crossed):
    found = compare_study(crossed)
    values = json.loads(json.dumps(found.as_dict()))
    assert [one["sentence"] for one in values["effects"]] == [c.sentence for c in found.effects]
    assert values["ranking"]["arms"] == NAMES
    assert values["contrasts"][0]["varies"] == ["init", "order"]
    frame = found.frame()
    assert list(frame["sentence"]) == list(found.sentences)
    assert (frame["low"] <= frame["difference"]).all()
    assert all(sentence in str(found) for sentence in found.sentences)
    assert found.sentences[0] in found._repr_html_()


def test_each_verdict_says_what_varied(make_study):
    study = with_seeds(make_study(dict(zip("ab", scores([0.0, 0.01]), strict=True))))
    study = with_spec(study, seeds={"vary": ["split", "init", "augment", "dropout"]})
    assert "; over split, init; " in contrasts(study)[0].details
    both = with_arms(study, layers=["dropout 0.5"], training={"augmentation": {"shift": 2}})
    assert "; over split, init, augment, dropout; " in contrasts(both)[0].details


def test_a_margin_lets_arms_be_found_equivalent(make_study):
    study = make_study(dict(zip("ab", scores([0.0, 0.0]), strict=True)))
    assert contrasts(study)[0].outcome == "undecided"
    (close,) = contrasts(with_seeds(study, margin=0.2))
    assert close.outcome == "equivalent"
    assert close.sentence.startswith("No difference that matters between a and b: ")
    assert "(90 % interval " in close.sentence
    assert close.sentence.endswith("inside the margin of 0.2 points, 10 seeds)")
    (wide,) = contrasts(with_seeds(study, margin=0.01))
    assert wide.outcome == "undecided"


def test_undecided_says_how_many_more_seeds_would_tell(make_study):
    study = make_study(dict(zip("ab", scores([0.0, 0.0005], noise=0.001), strict=True)))
    (found,) = contrasts(study)
    assert found.outcome == "undecided"
    assert found.sentence.endswith(f"would take about {found.finding.need.seeds} more seeds")
    equal = make_study({"a": [0.9] * 8, "b": [0.9] * 8})
    assert contrasts(equal)[0].sentence == "No difference seen: a and b score the same on all 8 seeds"


def test_a_verdict_says_how_many_runs_failed_and_which_seeds_have_no_partner(make_study):
    a, b = scores([0.0, 0.02])
    (found,) = contrasts(make_study({"a": a, "b": [*b[:7], "diverged", "diverged", "out of memory"]}))
    assert found.left_out == "3 of 10 of b diverged or ran out of memory"
    assert found.details.endswith(f"left out of the mean: {found.left_out}")
    assert "7 seeds where both worked); too many runs went wrong" in found.sentence
    assert found.sentence.endswith("; 3 of 10 runs of b failed")
    (unequal,) = contrasts(make_study({"a": a, "b": b[:8]}))
    assert unequal.finding.n == 8
    assert unequal.details.endswith("left out of the mean: 2 seeds without a partner")
    (refused,) = contrasts(make_study({"a": a, "b": [*b[:4], *["diverged"] * 6]}))
    assert refused.outcome == "worse"
    assert refused.sentence.startswith("b fails more often than a: 6 of 10 runs against 0 (p 0.00")


def test_a_collapse_is_named_and_kept_apart(make_study):
    a, b = scores([0.0, 0.01])
    b[3] = 0.1
    study = make_study({"a": a, "b": b})
    study = dataclasses.replace(study, data={**study.data, "classes": list("0123456789")})
    (contrast,) = contrasts(study)
    assert contrast.label == "better"
    assert contrast.seeds == (0, 1, 2, *range(4, 10))
    assert contrast.differences == pytest.approx([b[seed] - a[seed] for seed in contrast.seeds])
    assert contrast.sentence.startswith("Where both worked, b is better than a: accuracy is 1.0")
    assert contrast.sentence.endswith("9 seeds); 1 of 10 runs of b collapsed")
    assert "bad runs as the lowest" in contrast.details
    assert not any("collapsed" in note for note in compare_study(make_study({"a": a, "b": a})).notes)


def test_arms_whose_runs_fail_more_often_and_are_better_otherwise_are_mixed(make_study):
    a, b = scores([0.0, 0.01], seeds=40)
    study = make_study({"a": a, "b": ["diverged"] * 8 + b[8:]})
    (contrast,) = contrasts(study)
    assert contrast.outcome == "mixed"
    assert contrast.sentence.startswith("b fails more often than a: 8 of 40 runs against 0 (p 0.00")
    assert "; where both worked, b changed accuracy by 0.98 points (" in contrast.sentence
    assert "1 is mixed" in compare_answer(study)


def test_scores_that_are_all_equal_are_no_difference(make_study):
    study = with_seeds(make_study({"a": [0.9] * 8, "b": [0.9] * 8}), count=8, margin=0.1)
    assert contrasts(study)[0].outcome == "equivalent"
    assert contrasts(make_study({"a": [0.9] * 8, "b": [0.91] * 8}))[0].outcome == "better"


def test_arms_that_stop_when_decided_are_judged_at_their_look(make_study):
    a, b, c = scores([0.0, 0.02, 0.0], seeds=40)
    study = with_seeds(make_study({"a": a, "b": b[:10], "c": c}), stop="decided", min=6, max=40)
    clear, open_ = contrasts(study)
    assert clear.outcome == "better"
    assert "3 looks up to 10 pairs, decided at look 3" in clear.details
    assert clear.finding.n == 10
    assert "left out" not in clear.details
    assert open_.sentence.endswith("Every planned seed has been run")
    assert factor_effects(study) == ()
    assert ranking_of(study) is None
    notes = " ".join(compare_study(study).notes)
    assert "all looks at all arms share 5 % of false calls" in notes
    assert stop_sentences(study) == ("b has stopped after 10 seeds (look 3 of 9): better",)
    # A look that has not been had yet decides nothing.
    early = with_seeds(make_study({"a": a[:6], "b": [*b[:5], "running"]}), stop="decided", min=6, max=40)
    assert contrasts(early)[0].outcome == "too few seeds"
    assert stop_sentences(early) == stop_sentences(make_study({"a": a, "b": b})) == ()


def test_folds_get_the_corrected_test(make_study):
    a, b = scores([0.0, 0.004], seeds=10, noise=0.004)
    study = make_study({"a": a, "b": b})
    folded = dataclasses.replace(
        study, runs=tuple(dataclasses.replace(run, seed=run.seed // 5, fold=run.seed % 5 + 1) for run in study.runs)
    )
    (plain,), (found,) = contrasts(study), contrasts(with_seeds(folded, count=2))
    expected = corrected_resampled_difference((np.array(b) - a).reshape(2, 5), confidence=1 - 0.05 * 0.86)
    assert found.difference.p_value == pytest.approx(expected.p_value)
    assert (found.difference.low, found.difference.high) == pytest.approx((expected.low, expected.high))
    assert found.difference.high - found.difference.low > plain.difference.high - plain.difference.low
    assert found.sentence.endswith(", 2 x 5 folds)") or ", 2 x 5 folds)." in found.sentence
    assert any("Nadeau and Bengio" in note for note in compare_study(folded).notes)


def test_finalists_are_chosen_by_validation_and_compared_on_images(make_study):
    a, b, c = scores([0.0, 0.01, 0.02])
    study = make_study({"a": a, "b": b, "c": c}, tests={"a": a, "b": b, "c": c}, num_looks=2)
    rng = np.random.default_rng(0)
    right = {run.id: rng.random(200) < 0.8 for run in study.runs}
    packed = {run: np.packbits(hits).tobytes() for run, hits in right.items()}
    study = dataclasses.replace(study, data={**study.data, "num_test": 200}, test_hits=packed)
    found = duel(study)
    assert (found.a, found.b, found.seed, found.num_seeds) == ("b", "c", 0, 10)
    first = {run.arm: right[run.id] for run in study.runs if run.seed == 0}
    assert found.mcnemar == mcnemar(first["b"], first["c"])
    shares = {arm: np.mean([right[run.id] for run in study.runs if run.arm == arm]) for arm in ("b", "c")}
    assert found.difference.mean == pytest.approx(shares["c"] - shares["b"])
    assert [one.share.mean for one in networks(study)] == [pytest.approx(first[arm].mean()) for arm in "abc"]
    notes = " ".join(compare_study(study, split="test").notes)
    assert "McNemar's p" in notes
    assert "After 2 looks at the test split" in notes
    assert duel(dataclasses.replace(study, test_hits={})) is None


@pytest.mark.parametrize(
    ("names", "split", "told"),
    [
        (("kernell",), "validation", 'did you mean "kernel"?'),
        ((NAMES[0],), "validation", "name two arms"),
        ((NAMES[0], "dropout=0, kernel=7x7"), "validation", "has no arm"),
        ((NAMES[0], NAMES[0]), "validation", "given twice"),
        ((NAMES[0], "kernel=3x3, dropout=0.0"), "validation", "given twice"),
        (("a", "b", "c"), "validation", "got 3 names"),
        ((), "test", "assay reveal scores it, once"),
    ],
)
def test_what_cannot_be_compared_is_refused(crossed, names, split, told):
    with pytest.raises(SpecError) as caught:
        compare_study(crossed, *names, split=split)
    assert told in str(caught.value)


def test_one_arm_has_nothing_to_be_compared_with(make_study):
    with pytest.raises(SpecError, match="one arm only"):
        compare_study(make_study({"a": [0.9] * 6}))


def test_a_search_without_finalists_has_nothing_to_compare_yet(make_study):
    study = make_study({"a": [0.9] * 6})
    study = dataclasses.replace(study, arms=(), runs=(), search=SearchRecord({}, (), ()))
    with pytest.raises(SpecError, match=r"finalists of search .* have not been trained yet; run it again"):
        compare_study(study)


def test_the_report_shows_factors_interactions_and_ranks(crossed, page_of):
    page = page_of(crossed)
    text = " ".join(page.select_one("#answer").get_text(" ").split())
    assert "dropout 0.5 is better than dropout 0; kernel 5x5 is better than kernel 3x3" in text
    assert "what dropout does depends on kernel" in text
    assert factor_effects(crossed)[0].sentence in text
    assert "say nothing about another data set" in text
    assert page.select_one("#contrasts h3").get_text() == "Factors, each averaged over the others"
    assert page.select_one("#answer #plot-interaction-0")["aria-label"].startswith("Mean validation accuracy")
    captions = [table.caption.get_text() for table in page("table")]
    assert any(caption.startswith("Arms by mean rank over 10 seeds") for caption in captions)
    assert factor_effects(crossed)[0].sentence in summary_html(crossed)


def test_the_interaction_plot_holds_the_cells_means(crossed):
    figure = interaction_plot(crossed, "dropout", "kernel")
    _, table = blocks(crossed)
    means = 100 * np.mean(table, axis=0)
    by_cell = dict(zip(CELLS, means, strict=True))
    assert [trace.name for trace in figure.data] == ["kernel 3x3", "kernel 5x5"]
    for trace, kernel in zip(figure.data, ("3x3", "5x5"), strict=True):
        assert list(trace.y) == pytest.approx([by_cell["0", kernel], by_cell["0.5", kernel]])


def test_the_ranks_diagram_joins_arms_that_are_not_told_apart(crossed):
    ranking = ranking_of(crossed)
    figure = critical_difference(crossed, ranking)
    ranks = {trace.meta["arm"]: trace.x[0] for trace in figure.data if trace.meta}
    assert ranks == dict(zip(NAMES, ranking.mean_ranks, strict=True))
    joined = [trace for trace in figure.data if trace.name == "not told apart"]
    assert len(joined) == len(ranking.groups) == 1
    assert min(ranks, key=ranks.get) == NAMES[3]
