"""Verdicts on corrupted images: constructed hits, one error budget, and looks that are paid for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from assay.analysis import robustness_of, seeds_compared
from assay.analysis.measured import seen_by
from assay.store import StudyRecord
from assay.store.corrupted_hits import CorruptedHits, CorruptedLook, CorruptedScores

from ..stored import put_study, record_of

NAMES = {"fog": "light", "jpeg": "storage", "rotate": "place"}
IMAGES = 400


def study(tmp_path: Path, *, seeds: int = 6, planned: int | None = None) -> StudyRecord:
    put_study(tmp_path, {"a": [0.9] * seeds, "b": [0.9] * seeds}, count=planned)
    return record_of(tmp_path)


def hits(
    record: StudyRecord, better: Sequence[str] = (), *, gain: float = 0.1, seed: int = 0
) -> dict[str, CorruptedHits]:
    """Runs that are right on 70 % of corrupted images, and arm b on more under some corruptions."""
    rng, found = np.random.default_rng(seed), {}
    for run in record.runs:
        if run.state != "finished":
            continue
        levels = [0.7 + gain * (run.arm == "b" and name in better) for name in NAMES]
        right = rng.random((len(NAMES), 5, IMAGES)) < np.array(levels)[:, None, None]
        clean, images = rng.random(IMAGES) < 0.95, np.arange(IMAGES)
        found[run.id] = CorruptedHits(run.id, "hash", (1, 0), images, clean, tuple(NAMES), right)
    return found


def test_accuracies_by_severity_with_bands(tmp_path: Path) -> None:
    record = study(tmp_path)
    given = hits(record)
    found = robustness_of(record, given, NAMES)
    assert [arm.arm for arm in found.arms] == ["a", "b"]
    frame = found.frame()
    row = frame[(frame.arm == "b") & (frame.corruption == "jpeg") & (frame.severity == 3)].iloc[0]
    scores = [given[run.id].of("jpeg")[2].mean() for run in record.runs_of("b")]
    assert row.accuracy == pytest.approx(np.mean(scores))
    reach = 2.570582 * np.std(scores, ddof=1) / 6**0.5  # Student's at 5 degrees of freedom
    assert (row.low, row.high) == pytest.approx((np.mean(scores) - reach, np.mean(scores) + reach), abs=1e-6)
    assert (frame[frame.severity == 0].accuracy > 0.9).all()
    values = found.as_dict()
    assert values["groups"] == NAMES
    assert len(values["verdicts"]) == 1 + len(NAMES)


def test_a_corruption_under_which_an_arm_is_better_is_called_and_no_other(tmp_path: Path) -> None:
    record = study(tmp_path)
    found = robustness_of(record, hits(record, ["fog"]), NAMES)
    outcomes = {verdict.corruption: verdict.outcome for verdict in found.verdicts}
    assert outcomes["fog"] == "better"
    assert outcomes["jpeg"] == outcomes["rotate"] == "undecided"
    fog = next(verdict for verdict in found.verdicts if verdict.corruption == "fog")
    assert fog.mean == pytest.approx(0.1, abs=0.03)
    assert fog.low is not None
    assert fog.low > 0
    assert fog.sentence.startswith("Fog: b is better than a: accuracy is ")
    assert any("One error budget of 5 % for all 4 verdicts" in note for note in found.notes)


def test_too_few_seeds_get_no_verdict(tmp_path: Path) -> None:
    record = study(tmp_path, seeds=4)
    found = robustness_of(record, hits(record, ["fog"]), NAMES)
    assert {verdict.outcome for verdict in found.verdicts} == {"too few seeds"}
    assert found.verdicts[0].sentence == "All corruptions: not enough seeds for a verdict: 4 pairs, 6 are needed"


def test_a_look_before_the_plan_spends_little_and_one_after_it_too(tmp_path: Path) -> None:
    record = study(tmp_path, seeds=6, planned=12)
    given = hits(record, ["fog"], gain=0.1)
    assert seeds_compared(record, given) == tuple(range(6))
    early = robustness_of(record, given, NAMES)
    assert {verdict.outcome for verdict in early.verdicts} == {"undecided"}  # 2/64 is not rare enough before the plan
    assert "before all planned seeds have ended" in early.verdicts[1].sentence
    done = study(tmp_path / "done", seeds=12)
    full = hits(done, ["fog"], gain=0.1)
    looks = (CorruptedLook(12, tuple(range(6))),)
    later = robustness_of(done, full, NAMES, looks)
    once = robustness_of(done, full, NAMES)
    by_name = [{verdict.corruption: verdict for verdict in found.verdicts} for found in (later, once)]
    assert by_name[0]["fog"].outcome == by_name[1]["fog"].outcome == "better"
    assert by_name[0]["jpeg"].p_value >= by_name[1]["jpeg"].p_value  # the early look was paid for
    # The same look again costs nothing.
    again = robustness_of(done, full, NAMES, (*looks, CorruptedLook(12, tuple(range(12)))))
    assert [verdict.p_value for verdict in again.verdicts] == [verdict.p_value for verdict in later.verdicts]


def test_at_most_five_percent_of_studies_without_a_difference_hold_a_verdict(tmp_path: Path) -> None:
    record = study(tmp_path)
    count = 60
    called = sum(
        any(
            one.outcome in ("better", "worse") for one in robustness_of(record, hits(record, seed=seed), NAMES).verdicts
        )
        for seed in range(count)
    )
    assert called / count <= 0.05 + 4 * (0.05 * 0.95 / count) ** 0.5


def test_verdicts_go_by_the_studys_measure(tmp_path: Path) -> None:
    """Log loss falls in arm b under fog; its hits do not move. Its influence values carry the images' spread."""
    record, rng = seen_by(study(tmp_path), "log_loss"), np.random.default_rng(3)
    given = {}
    for run in record.runs:
        losses = rng.exponential(1.0, (len(NAMES), 5, IMAGES))
        losses[0] *= 0.5 if run.arm == "b" else 1.0  # fog
        influence = (losses - losses.mean(2, keepdims=True)).mean(1).astype(np.float32)
        measured = CorruptedScores("log_loss", 0.2, losses.mean(2), influence)
        right = np.ones((len(NAMES), 5, IMAGES), bool)
        given[run.id] = CorruptedHits(
            run.id, "hash", (1, 0), np.arange(IMAGES), right[0, 0], tuple(NAMES), right, measured
        )
        assert given[run.id].by_image("fog").mean() == pytest.approx(losses[0].mean(), abs=1e-6)
    found = robustness_of(record, given, NAMES)
    verdicts = {one.corruption: one for one in found.verdicts}
    assert {name for name, one in verdicts.items() if one.outcome == "better"} >= {"fog"}
    assert {name for name, one in verdicts.items() if one.outcome == "worse"} == set()
    assert {verdicts[name].outcome for name in ("jpeg", "rotate")} == {"undecided"}
    assert verdicts["fog"].sentence.startswith("Fog: b is better than a: log loss is 0.")
    assert " nats lower" in verdicts["fog"].sentence
    assert "log_loss" in found.frame().columns
    assert found.as_dict()["metric"] == "log_loss"
