"""The contrasts of a study before they are judged."""

from __future__ import annotations

from dataclasses import replace

from assay.analysis import contrasts
from assay.analysis.rows import arm_ids

from ..recorded import MakeStudy

A = (0.980, 0.982, 0.981, 0.979, 0.983, 0.980)
B = (0.983, 0.986, 0.983, 0.983, 0.985, 0.984)


def test_arms_that_differ_in_name_alone_keep_a_contrast_each(make_study: MakeStudy) -> None:
    study = make_study({"a": A, "b": B, "c": B, "d": A})  # four times the same network
    assert [contrast.arm for contrast in contrasts(study)] == ["b", "c", "d"]
    assert len(set(arm_ids(study).values())) == 4


def test_a_twin_that_is_added_later_changes_no_other_arm_and_a_new_name_changes_none(make_study: MakeStudy) -> None:
    study = make_study({"a": A, "b": B})
    more = make_study({"a": A, "b": B, "c": B})
    assert arm_ids(study) == {name: one for name, one in arm_ids(more).items() if name != "c"}
    first, second = study.arms
    renamed = replace(study, arms=(first, replace(second, name="z")))
    assert arm_ids(renamed)["z"] == arm_ids(study)["b"]
