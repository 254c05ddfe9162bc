"""Verdicts of a study on several data sets: one for each, and one in general, from records with known scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from assay.analysis import answer, compare_study
from assay.analysis.diagnoses import curves_of
from assay.analysis.family import family
from assay.analysis.general import general_verdicts
from assay.analysis.look_record import look_record
from assay.errors import SpecError
from assay.report.texts import as_latex, as_markdown
from assay.spec import Study
from assay.stats import holm
from assay.stats.general import data_sets_p
from assay.stats.sequential import AT_PLAN
from assay.store.parts import part_of_run, part_on, parts_of
from assay.store.records import ArmRecord, StudyRecord

from ..recorded import html_of, study_of

NAMES = ("one", "two", "three", "four", "five", "six")
SEEDS = 12


def several(
    gains: dict[str, float], *, arms: tuple[str, ...] = ("plain", "better"), luck: float = 0.004, seeds: int = SEEDS
) -> StudyRecord:
    """Arms that make ``gains`` (a share) fewer errors, each more than the one before, on data sets that are harder and
    harder."""
    rng = np.random.default_rng(7)
    scores = {
        f"data={name}, {arm}": [
            float(1 - (0.05 + 0.04 * place) * (1 - gain * position) + luck * rng.normal()) for _ in range(seeds)
        ]
        for place, (name, gain) in enumerate(gains.items())
        for position, arm in enumerate(arms)
    }
    study = study_of(scores)
    spec = Study.of(
        {
            "name": "kernels",
            "data": {"sets": [{"name": name, "path": f"/data/{name}.npz"} for name in gains], "validation": 0.1},
            "arms": [{"name": arm, "layers": ["flatten", "dense classes softmax"]} for arm in arms],
            "seeds": {"count": seeds, "vary": ["init", "order"]},
        }
    )
    facts = {"shape": [28, 28, 1], "classes": ["a", "b"], "num_training": 6000, "num_test": 1000}
    data = {
        "name": ", ".join(gains), "title": f"{len(gains)} data sets", "content": "c" * 64,
        "sets": {name: {"name": name, "title": name, "content": name, **facts} for name in gains},
    }  # fmt: skip
    records = tuple(
        ArmRecord(arm.name, place, dict(arm.levels), arm.model_dump(mode="json"))
        for place, arm in enumerate(spec.expand())
    )
    return replace(study, spec=spec.model_dump(mode="json", exclude_none=True), data=data, arms=records)


@pytest.fixture(scope="module")
def helped() -> StudyRecord:
    gains = (0.3, 0.2, 0.25, 0.35, 0.15, 0.28)
    return several(dict(zip(NAMES, gains, strict=True)))


def test_there_is_a_verdict_for_each_data_set_and_one_over_all(helped: StudyRecord) -> None:
    (general,) = general_verdicts(helped)
    values = []
    for part in parts_of(helped).values():
        errors = [
            np.mean([1 - run.kept.validation_accuracy for run in part.runs_of(arm)]) for arm in ("plain", "better")
        ]
        values.append(np.log(errors[1] / errors[0]))
    assert general.outcome == "better"
    assert general.finding.ratio[0] == pytest.approx(np.exp(np.mean(values)))
    # Every data set has a direction, so that all of the 5 % has passed on to the verdict in general.
    assert general.finding.share == 1.0
    assert general.finding.p_value == pytest.approx(data_sets_p(values) / AT_PLAN)
    assert list(general.by_data) == list(NAMES)
    assert answer(helped).headline.startswith("In general, better is better than plain: it makes 25 % fewer errors")
    assert answer(helped).headline.endswith("of 6 data sets by themselves, better on 6")


def test_all_data_sets_are_one_family_with_half_of_the_level(helped: StudyRecord) -> None:
    open_ = several(dict(zip(NAMES, (0.02, -0.02, 0.01, -0.01, 0.02, -0.02), strict=True)))
    judged = family(open_)
    assert {one.row.data for one in judged} == set(NAMES)
    assert {one.finding.share for one in judged} == {0.5}
    expected = holm([one.finding.p_value for one in judged])
    assert [one.finding.adjusted_p for one in judged] == pytest.approx(list(expected))
    assert "half of the 5 %" in compare_study(open_).contrasts[0].details
    # Once the verdict in general is given, its half passes on.
    assert {one.finding.share for one in family(helped)} == {1.0}


def test_no_arm_is_compared_with_one_on_other_data(helped: StudyRecord) -> None:
    assert all(one.row.arms[0].split(",")[0] == one.row.arms[1].split(",")[0] for one in family(helped))
    with pytest.raises(SpecError, match="are on different data sets; name two arms on one"):
        compare_study(helped, "data=one, plain", "data=two, better")
    picked = compare_study(helped, "data=two, better", "data=two, plain").contrasts[0]
    assert picked.sentence.startswith("On two, plain is worse than better")


def test_below_five_data_sets_the_reason_is_said() -> None:
    few = several(dict.fromkeys(NAMES[:4], 0.3))
    assert "On 4 data sets there is a verdict for each and none in general, which takes 5 or more." in answer(few).notes
    assert answer(few).headline == "Of 4 data sets by themselves, better on 4"
    assert {one.finding.share for one in family(few)} == {1.0}
    assert general_verdicts(few)[0].outcome == "too few data sets"


def test_a_data_set_with_few_seeds_does_not_count() -> None:
    study = several(dict.fromkeys(NAMES[:5], 0.3), seeds=5)
    (general,) = general_verdicts(study)
    assert general.outcome == "too few data sets"
    assert general.finding.n == 0


def test_opposite_effects_cancel_in_general() -> None:
    mixed = several(dict(zip(NAMES, (0.3, -0.3, 0.3, -0.3, 0.3, -0.3), strict=True)), luck=0.001)
    (general,) = general_verdicts(mixed)
    assert general.outcome == "undecided"
    assert set(general.by_data.values()) == {"better", "worse"}
    assert answer(mixed).tone == "partly"


def test_a_look_is_paid_for_by_the_verdict_in_general_too(helped: StudyRecord) -> None:
    look = look_record(helped)
    assert look is not None
    assert len(look.seen["contrasts"]) == len(NAMES)
    seen = replace(helped, verdict_looks=(look,))
    assert general_verdicts(seen)[0].finding.p_value == pytest.approx(general_verdicts(helped)[0].finding.p_value)
    # The plan's own look has spent most; the next one, with more seeds, has what is left.
    early = replace(look, planned=6)
    later = replace(helped, verdict_looks=(early,))
    assert general_verdicts(later)[0].finding.p_value <= general_verdicts(helped)[0].finding.p_value * 1.2


def test_several_arms_share_the_verdicts_in_general() -> None:
    study = several(dict.fromkeys(NAMES, 0.1), arms=("plain", "more", "most"), luck=0.001)
    verdicts = general_verdicts(study)
    assert [(one.baseline, one.arm) for one in verdicts] == [("plain", "more"), ("plain", "most")]
    assert answer(study).headline.startswith("In general, of 2 against plain, 2 are better")


def test_parts_are_the_study_on_one_data_set(helped: StudyRecord) -> None:
    part = part_on(helped, "three")
    assert [arm.name for arm in part.arms] == ["plain", "better"]
    assert part.design.data.name == "three"
    assert {run.arm for run in part.runs} == {"plain", "better"}
    run = next(run for run in helped.runs if run.arm == "data=two, better")
    there, same = part_of_run(helped, run)
    assert (there.data["name"], same.arm, same.id) == ("two", "better", run.id)
    assert curves_of(helped, run).class_names == ("a", "b")
    with pytest.raises(SpecError, match='has no data set "thre"; did you mean "three"'):
        part_on(helped, "thre")


def test_report_tables_and_latex_show_both(helped: StudyRecord) -> None:
    page = html_of(helped, gallery=None)
    assert "In general, over all data sets" in page
    assert "On three, better is better than plain" in page
    latex = as_latex(helped, summaries={}, version="0")
    assert r"\label{tab:kernels-general}" in latex
    assert "In general, better is better than plain" in as_markdown(helped, summaries={}, version="0")
    frame = compare_study(helped).frame()
    assert frame["data"].tolist() == ["", *NAMES]
    assert frame["kind"].tolist()[0] == "in general"
    assert compare_study(helped).as_dict()["general"][0]["outcome"] == "better"
