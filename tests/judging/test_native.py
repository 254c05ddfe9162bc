"""A table of a study of one's own gives that study's verdicts, character by character."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import assay
from assay.analysis import answer, compare_study, look_record
from assay.errors import DataError, SpecError
from assay.judging import score_frame
from assay.judging.export import table_text
from assay.results.result import Result
from assay.store import ImageHits, ImageSets, StudyRecord

from ..helpers import small_study


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Twelve networks on digits, looked at with six seeds and again with eight."""
    store = tmp_path_factory.mktemp("store")
    training = {"epochs": 1, "batch_size": 64}
    assay.run(small_study(seeds={"count": 6}, training=training), store=store, workers=1).compare()
    return assay.run(small_study(seeds={"count": 8}, training=training), store=store, workers=1)


def written(frame, path: Path) -> Path:
    path.write_text(table_text(frame), encoding="utf-8")
    return path


def test_the_table_of_a_real_study_gives_its_sentences(result: Result, tmp_path: Path) -> None:
    expected, shown = result.compare(), answer(result.shown)
    assert len(result.record.verdict_looks) >= 2  # both looks are paid for
    for given in (result.scores(), written(result.scores(), tmp_path / "scores.csv")):
        judged = assay.judge(given)
        assert judged.headline == shown.headline
        assert judged.answer.notes == shown.notes
        assert str(judged.compare()) == str(expected)
        assert [one.details for one in judged.compare().contrasts] == [one.details for one in expected.contrasts]
        assert "new images" in expected.contrasts[0].details
        assert judged.compare("rate").sentences == result.compare("rate").sentences


def test_without_its_first_line_a_table_speaks_of_these_images(result: Result, tmp_path: Path) -> None:
    """Only arm, seed and score, as anybody has them: the sentence is that of the study, were it to claim no more."""
    rows = list(csv.DictReader(written(result.scores(), tmp_path / "all.csv").read_text().splitlines()[1:]))
    plain = tmp_path / "plain.csv"
    plain.write_text("arm,seed,score\n" + "".join(f"{row['arm']},{row['seed']},{row['score']}\n" for row in rows))
    record = result.record
    spec = {**record.spec, "claim": "these images"}
    once = replace(record, spec=spec, verdict_looks=())  # a table has been looked at once
    judged = assay.judge(plain, chance=once.data["largest_class"])
    assert judged.headline == answer(once).headline
    assert judged.compare().sentences == compare_study(once).sentences
    assert any("no per-image results" in note for note in judged.answer.notes)
    assert "speaks of these images" in judged.compare().contrasts[0].details


def test_reports_of_a_table_hold_the_same_answer(result: Result, tmp_path: Path) -> None:
    path = written(result.scores(), tmp_path / "scores.csv")
    judged = assay.judge(path)
    page = judged.report(tmp_path / "report.html").read_text(encoding="utf-8")
    own = result.report(tmp_path / "own.html", explanations=()).read_text(encoding="utf-8")
    headline = answer(result.shown).headline.split(" (")[0]
    assert headline in page
    assert headline in own
    assert "\\begin{table}" in judged.report(tmp_path / "t.tex", form="latex").read_text()
    assert answer(result.shown).label in judged.report(tmp_path / "t.md", form="markdown").read_text()


def seeds_of(rng: np.random.Generator, mean: float, n: int) -> list[float]:
    return [float(value) for value in np.clip(rng.normal(mean, 0.01, n), 0, 1)]


def looked(study: StudyRecord) -> StudyRecord:
    look = look_record(study)
    assert look is not None
    return replace(study, verdict_looks=(*study.verdict_looks, look))


def same_verdicts(study: StudyRecord, tmp_path: Path) -> None:
    judged = assay.judge(written(score_frame(study), tmp_path / "table.csv"))
    assert judged.headline == answer(study).headline
    assert str(judged.compare()) == str(compare_study(study))
    assert judged.compare().as_dict() == compare_study(study).as_dict()


def test_failed_runs_unfinished_runs_and_margins_come_along(
    make_study: Callable[..., StudyRecord], tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    a, b, c = (seeds_of(rng, mean, 12) for mean in (0.9, 0.93, 0.9))
    study = make_study({"a": [*a, "queued"], "b": [*b[:-1], "diverged", "queued"], "c": [*c, "running"]})
    spec = {**study.spec, "seeds": {**study.spec["seeds"], "margin": 1.5}}
    same_verdicts(replace(study, spec=spec), tmp_path)
    same_verdicts(looked(replace(study, spec=spec)), tmp_path)


def test_crossed_factors_come_along(make_study: Callable[..., StudyRecord], tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    arms = {f"x={x}, y={y}": seeds_of(rng, 0.8 + 0.03 * x, 10) for x in (0, 1) for y in (0, 1)}
    levels = {f"x={x}, y={y}": {"x": str(x), "y": str(y)} for x in (0, 1) for y in (0, 1)}
    study = make_study(arms, levels=levels)
    assert answer(study).effects
    same_verdicts(study, tmp_path)


def test_folds_come_along(make_study: Callable[..., StudyRecord], tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    study = make_study({"a": seeds_of(rng, 0.9, 10), "b": seeds_of(rng, 0.92, 10)})
    runs = tuple(replace(run, seed=run.seed // 5, fold=1 + run.seed % 5) for run in study.runs)
    folded = replace(study, runs=runs, spec={**study.spec, "seeds": {**study.spec["seeds"], "count": 2}})
    assert compare_study(folded).contrasts[0].finding.is_corrected
    same_verdicts(folded, tmp_path)


def test_images_that_differ_between_seeds_come_along(make_study: Callable[..., StudyRecord], tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    study = make_study({"a": [0.5] * 8, "b": [0.5] * 8})
    hits, sets, runs = {}, {}, []
    difficulty = rng.normal(size=400)
    for run in study.runs:
        images = np.sort(np.random.default_rng(run.seed).choice(400, 150, replace=False))
        right = difficulty[images] + rng.normal(size=150) < (1.0 if run.arm == "a" else 1.4)
        one = ImageHits.of("training", images, right)
        hits[run.id], sets[one.image_set] = (one.image_set, one.hits), one.images
        runs.append(replace(run, epochs=(replace(run.epochs[-1], validation_accuracy=one.accuracy),)))
    whole = replace(study, runs=tuple(runs), validation_hits=hits, image_sets=ImageSets(sets))
    alone = replace(whole, validation_hits={}, image_sets=ImageSets())
    assert str(compare_study(whole)) != str(compare_study(alone))  # what other images add is seen in the interval
    same_verdicts(whole, tmp_path)


def test_a_table_of_a_newer_version_or_a_damaged_one_is_one_sentence(
    make_study: Callable[..., StudyRecord], tmp_path: Path
) -> None:
    frame = score_frame(make_study({"a": [0.9] * 6, "b": [0.8] * 6}))
    header = json.loads(frame.attrs["assay"])
    for changed, words in (
        (json.dumps({**header, "table": 2}), "newer version of Assay"),
        ("{}", "not as it was written"),
        (json.dumps({**header, "arms": [{"nam": 1}]}), "not as it was written"),
        (json.dumps({key: value for key, value in header.items() if key != "looks"}), "lacks looks"),
    ):
        frame.attrs["assay"] = changed
        path = written(frame, tmp_path / "table.csv")
        with pytest.raises(DataError, match=words) as caught:
            assay.judge(path)
        assert len(caught.value.problems) == 1
        assert str(path) in str(caught.value)


def test_what_a_study_has_fixed_cannot_be_chosen_anew(make_study: Callable[..., StudyRecord]) -> None:
    frame = score_frame(make_study({"a": [0.9] * 6, "b": [0.8] * 6}))
    with pytest.raises(SpecError, match="margin is given for a table that carries the design"):
        assay.judge(frame, margin=1.0)
    with pytest.raises(SpecError, match="own store keeps its looks"):
        assay.judge(frame, store="somewhere")
