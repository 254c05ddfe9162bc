"""Looks at a study that grows: what they saw is kept, and every later verdict counts them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from assay.analysis import compare_study, contrasts, fallen_sentences, look_record
from assay.analysis.contrasts import contrast_of, factor_effects, planned_contrasts
from assay.errors import StoreError, StoreTooNew
from assay.store.records import StudyRecord, VerdictLook

from ..recorded import study_of, with_arms, with_spec

RNG = np.random.default_rng(19)
NULL = RNG.normal(0, 0.001, 60)


def grown(differences: dict[str, np.ndarray], n: int, *, before: StudyRecord | None = None) -> StudyRecord:
    """A study of arms against "a" with its first n seeds, after the looks of an earlier state."""
    base = 0.9 + 0.01 * np.sin(np.arange(60))
    study = study_of({"a": base[:n].tolist(), **{arm: (base + d)[:n].tolist() for arm, d in differences.items()}})
    layers = {arm.name: [f"dense {8 + position}", "dense classes softmax"] for position, arm in enumerate(study.arms)}
    arms = tuple(replace(arm, spec={**arm.spec, "layers": layers[arm.name]}) for arm in study.arms)
    return replace(study, arms=arms, verdict_looks=before.verdict_looks if before else ())


def looked_at(study: StudyRecord) -> StudyRecord:
    look = look_record(study)
    return study if look is None else replace(study, verdict_looks=(*study.verdict_looks, look))


def clear(size: float, n: int = 60) -> np.ndarray:
    noise = RNG.normal(0, 0.001, n)
    return size * 0.001 + noise - noise[:10].mean()


def test_a_look_is_recorded_once_for_what_it_shows():
    study = looked_at(grown({"b": NULL}, 10))
    assert [look.number for look in study.verdict_looks] == [1]
    assert look_record(study) is None
    more = looked_at(grown({"b": NULL}, 24, before=study))
    assert [(look.number, look.planned) for look in more.verdict_looks] == [(1, 10), (2, 24)]
    seen = more.verdict_looks[1].seen["arms"]["b"]
    assert (seen["scored"], seen["ended"]) == ("0-23", "0-23")


def test_a_refusal_is_no_look():
    assert look_record(grown({"b": NULL}, 5)) is None


def test_the_details_say_how_a_verdict_was_reached():
    study = looked_at(grown({"b": NULL}, 10))
    more = grown({"b": NULL}, 24, before=study)
    assert "planned at 10 seeds, looked at again at 24" in contrasts(more)[0].details
    assert "planned at 24 seeds;" in contrasts(grown({"b": NULL}, 24))[0].details


def test_looking_again_costs_what_the_first_look_did_not_leave():
    """A difference that 24 planned seeds decide is undecided at 24 after a plan of 10 was looked at."""
    noise = NULL[:24] - NULL[:24].mean()
    border = noise + 2.25 * noise.std(ddof=1) / 24**0.5
    border = np.concatenate([border, np.zeros(36)])
    assert contrasts(grown({"b": border}, 24))[0].outcome == "better"
    after = grown({"b": border}, 24, before=looked_at(grown({"b": border}, 10)))
    assert contrasts(after)[0].outcome == "undecided"


def test_one_effect_has_one_p_whichever_way_it_is_asked_for():
    arms = {"b": clear(1.0), "c": clear(0.2), "d": NULL}
    study = grown(arms, 12)
    every = {contrast.arm: contrast.adjusted_p for contrast in contrasts(study)}
    for arm, p in every.items():
        assert contrast_of(study, "a", arm).adjusted_p == p
        assert contrast_of(study, arm, "a").adjusted_p == p
        assert compare_study(study, "a", arm).contrasts[0].adjusted_p == p


def test_one_factors_effects_are_its_arms_contrasts():
    study = grown({"b": clear(1.0), "c": NULL}, 12)
    levels = {"a": {"rate": "1"}, "b": {"rate": "2"}, "c": {"rate": "3"}}
    study = replace(study, arms=tuple(replace(arm, levels=levels[arm.name]) for arm in study.arms))
    assert [c.adjusted_p for c in factor_effects(study)] == [c.adjusted_p for c in contrasts(study)]
    assert [c.arm for c in factor_effects(study)] == ["rate 2", "rate 3"]


def test_an_arm_that_is_added_later_pays_for_itself_and_takes_nothing_back():
    first = looked_at(grown({"b": clear(1.0)}, 10))
    assert contrasts(first)[0].outcome == "better"
    added = grown({"b": clear(1.0)}, 10)
    b = [run.epochs[-1].validation_accuracy for run in first.runs_of("b")]
    a = [run.epochs[-1].validation_accuracy for run in first.runs_of("a")]
    differences = np.concatenate([np.array(b) - a, np.zeros(50)])
    added = grown({"b": differences, "c": NULL, "d": clear(0.9)}, 10, before=first)
    by_arm = {contrast.arm: contrast for contrast in contrasts(added)}
    assert by_arm["b"].adjusted_p == contrasts(first)[0].adjusted_p
    assert by_arm["b"].outcome == "better"
    # Once all that was planned first is decided, what is added has all of the 5 %.
    assert by_arm["d"].finding.share == 1
    undecided = looked_at(grown({"b": NULL}, 10))
    later = grown({"b": NULL, "d": clear(0.9)}, 10, before=undecided)
    assert {c.arm: c.finding.share for c in contrasts(later)} == {"b": 1, "d": pytest.approx(0.07)}


def test_an_arm_that_is_added_before_the_plans_look_is_part_of_the_plan():
    early = grown({"b": NULL}, 8)
    early = looked_at(with_spec(early, seeds={"count": 10, "vary": ["init", "order"]}))
    assert early.verdict_looks[0].planned == 10
    both = grown({"b": NULL, "c": clear(1.0)}, 10, before=early)
    assert {contrast.finding.share for contrast in contrasts(both)} == {1.0}
    assert {contrast.finding.num_contrasts for contrast in contrasts(both)} == {2}


def test_arms_in_another_order_are_the_same_question():
    """Looking at the same runs the other way round is no new look, and takes nothing back."""
    first = looked_at(grown({"b": clear(1.0)}, 10))
    b, a = (replace(arm, position=1 - arm.position) for arm in reversed(first.arms))
    turned = replace(first, arms=(b, a))
    (one,), (other,) = contrasts(first), contrasts(turned)
    assert (one.outcome, other.outcome) == ("better", "worse")
    assert one.adjusted_p == other.adjusted_p
    assert fallen_sentences(turned) == ()


def test_a_variant_that_replaces_another_pays_as_one_that_is_added():
    """Trying one variant after another against the same baseline is looking again and again."""
    first = looked_at(grown({"b": NULL}, 10))
    second = replace(grown({"b": clear(0.9)}, 10, before=first))
    second = replace(second, arms=tuple(
        replace(arm, spec={**arm.spec, "layers": ["dense 99", "dense classes softmax"]}) if arm.name == "b" else arm
        for arm in second.arms
    ))  # fmt: skip
    (contrast,) = contrasts(second)
    assert contrast.finding.share == pytest.approx(0.07)
    assert "added after the first verdict, with 7 % of the 5 %" in contrast.details


def test_an_arm_that_is_dropped_after_a_look_goes_on_counting():
    """Dropping the losers must not make the rest easier to claim."""
    arms = {"b": clear(1.0), "c": NULL, "d": NULL[::-1]}
    first = looked_at(grown(arms, 10))
    fewer = grown({"b": arms["b"]}, 10, before=first)
    (before,), (after,) = [c for c in contrasts(first) if c.arm == "b"], contrasts(fewer)
    assert (after.finding.num_contrasts, after.adjusted_p) == (3, before.adjusted_p)
    assert contrasts(grown({"b": arms["b"]}, 10))[0].finding.num_contrasts == 1


def test_a_claim_that_falls_is_named():
    first = looked_at(grown({"b": clear(1.0)}, 10))
    assert fallen_sentences(first) == ()
    other = looked_at(grown({"b": NULL - 0.0002}, 10, before=first))  # as if the runs had been trained anew
    assert fallen_sentences(other)[0].startswith("Look 1 (2")
    assert "called b against a better; it is undecided now" in fallen_sentences(other)[0]
    gone = with_arms(first, layers=["flatten", "dense classes softmax"])
    assert "no longer asks that" in fallen_sentences(gone)[0]
    assert any("called b against a better" in note for note in compare_study(gone).notes)


def test_another_question_under_the_old_name_starts_anew():
    first = looked_at(grown({"b": NULL}, 10))
    other = with_arms(grown({"b": clear(1.0)}, 12, before=first), training={"epochs": 7})
    (contrast,) = planned_contrasts(other)
    assert contrast.finding.looks == (12,)
    assert "planned at 12 seeds;" in contrast.details


def test_looks_while_seeds_end_in_any_order_count_the_pairs_they_saw():
    study = grown({"b": NULL}, 12)
    running = tuple(replace(run, state="running") if run.seed in (0, 3, 4) else run for run in study.runs)
    early = looked_at(replace(study, runs=running))
    assert early.verdict_looks[0].seen["arms"]["b"]["scored"] == "1-2,5-11"
    later = replace(study, verdict_looks=early.verdict_looks)
    assert contrasts(later)[0].finding.looks == (9, 12)


@pytest.mark.parametrize(
    ("looks", "error", "message"),
    [
        ((VerdictLook(1, 0.0, 10, {"form": 2}),), StoreTooNew, "recorded by a newer version"),
        ((VerdictLook(1, 0.0, 10, {"form": 1, "arms": {"b": 3}}),), StoreError, "look 1 cannot be read"),
    ],
)
def test_looks_that_cannot_be_counted_are_refused(looks, error, message):
    with pytest.raises(error, match=message):
        contrasts(replace(grown({"b": NULL}, 10), verdict_looks=looks))


def test_a_history_with_a_look_taken_out_is_refused():
    study = looked_at(grown({"b": NULL}, 10))
    study = looked_at(grown({"b": NULL}, 16, before=study))
    study = looked_at(grown({"b": NULL}, 24, before=study))
    first, _, last = study.verdict_looks
    with pytest.raises(StoreError, match="look 2 is missing"):
        contrasts(replace(study, verdict_looks=(first, last)))


def test_a_score_that_a_look_saw_and_that_is_gone_is_refused():
    study = looked_at(grown({"b": NULL}, 10))
    runs = tuple(run for run in study.runs if (run.arm, run.seed) != ("b", 7))
    with pytest.raises(StoreError, match="seed 7 of b had a score at look 1 and has none now"):
        contrasts(replace(study, runs=runs))
