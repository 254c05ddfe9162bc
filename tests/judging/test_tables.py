"""Tables of scores: what is read, and one sentence for what cannot be."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import assay
from assay.errors import DataError, SpecError
from assay.judging import parts_of


def scores(n: int = 10, *, gain: float = 0.02, arms: tuple[str, ...] = ("a", "b")) -> pd.DataFrame:
    """Arms of which each is better than the one before."""
    rng = np.random.default_rng(27)
    rows = []
    for seed in range(n):
        shared = rng.normal(0, 0.01)
        for place, arm in enumerate(arms):
            rows.append({"arm": arm, "seed": seed, "score": 0.9 + shared + gain * place + rng.normal(0, 0.004)})
    return pd.DataFrame(rows)


def test_a_frame_is_judged_as_pairs_of_seeds() -> None:
    frame = scores()
    judged = assay.judge(frame)
    (contrast,) = judged.compare().contrasts
    wide = frame.pivot(index="seed", columns="arm", values="score")
    assert contrast.outcome == "better"
    assert contrast.difference is not None
    assert contrast.difference.mean == pytest.approx((wide["b"] - wide["a"]).mean())
    assert contrast.finding.n == 10
    assert judged.headline.startswith("b is better than a: accuracy is ")
    assert judged.frame()["outcome"].tolist() == ["better"]
    assert judged.as_dict()["headline"] == judged.headline
    assert judged.headline in str(judged)
    assert judged.headline[:20] in judged._repr_html_()
    # Rows in another order, and the other arm as the baseline.
    turned = assay.judge(frame.sample(frac=1, random_state=1), against="b")
    assert turned.headline.startswith("a is worse than b: accuracy is ")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_files_of_any_separator_give_the_same(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "scores.csv"
    scores().to_csv(path, sep=separator, index=False)
    assert assay.judge(path).headline == assay.judge(scores()).headline


def test_columns_of_other_names_are_named(tmp_path: Path) -> None:
    frame = scores().rename(columns={"arm": "model", "seed": "random_state", "score": "val_accuracy"})
    frame["note"] = "x"
    judged = assay.judge(frame, arm="model")  # the others are usual names
    assert judged.headline == assay.judge(scores()).headline
    assert judged.notes == ("Columns that are not used: note.",)
    frame = frame.rename(columns={"random_state": "run no", "val_accuracy": "result"})
    again = assay.judge(frame, arm="model", seed="run no", score="result", metric="accuracy")
    assert again.headline == judged.headline


def test_several_columns_make_an_arm_and_cross_as_factors() -> None:
    frame = pd.concat([scores(arms=("x0", "x1"), gain=0.02).assign(y=y) for y in (0, 1)])
    frame["x"] = frame["arm"].str[1:]
    judged = assay.judge(frame, arm="x,y")
    assert [arm.name for arm in judged.record.arms] == ["x=0, y=0", "x=1, y=0", "x=0, y=1", "x=1, y=1"]
    assert judged.headline.startswith("x 1 is better than x 0; between y 0 and y 1")
    named = frame.assign(arm=frame["x"] + frame["y"].astype(str)).rename(columns={"x": "factor.x", "y": "factor.y"})
    named = named[["arm", "seed", "score", "factor.x", "factor.y"]]
    assert assay.judge(named).headline == judged.headline


def test_runs_that_failed_are_results() -> None:
    frame = scores(12).assign(state="finished")
    lost = frame["arm"].eq("a") & frame["seed"].lt(6)
    frame.loc[lost, ["state", "score"]] = ["diverged", np.nan]
    contrast = assay.judge(frame).compare().contrasts[0]
    assert contrast.finding.bad_runs is not None
    assert contrast.finding.bad_runs.a == 6
    assert "a fails more often than b: 6 of 12 runs against 0" in contrast.sentence


def test_folds_pair_runs_without_seeds_and_are_corrected() -> None:
    folded = scores(10).rename(columns={"seed": "fold"}).assign(fold=lambda frame: frame["fold"] + 1)
    judged = assay.judge(folded)
    assert judged.compare().contrasts[0].finding.is_corrected
    assert "1 x 10 folds" in judged.headline


def test_each_data_set_has_verdicts_of_its_own(tmp_path: Path) -> None:
    frame = pd.concat([scores().assign(data="mnist"), scores(gain=-0.02).assign(data="digits")])
    parts = parts_of(frame)
    assert [part.record.data["title"] for part in parts] == ["mnist", "digits"]
    assert [part.compare().contrasts[0].outcome for part in parts] == ["better", "worse"]
    assert assay.judge(frame, data="digits").headline == parts[1].headline
    with pytest.raises(DataError, match=r"scores are of 2 data sets \(mnist, digits\).*name one"):
        assay.judge(frame)
    with pytest.raises(DataError, match='no data set "mnits"; did you mean "mnist"'):
        assay.judge(frame, data="mnits")


def test_of_several_measures_one_is_named() -> None:
    frame = pd.concat([scores().assign(metric="accuracy"), scores(gain=0).assign(metric="top5_accuracy")])
    with pytest.raises(DataError, match=r"2 measures \(accuracy, top5_accuracy\).*--metric"):
        assay.judge(frame)
    assert assay.judge(frame, metric="accuracy").headline == assay.judge(scores()).headline


def test_margins_and_chance_are_those_of_a_study() -> None:
    frame = scores(20, gain=0.0)
    assert assay.judge(frame, margin=1.5).compare().contrasts[0].outcome == "equivalent"
    collapsed = frame.copy()
    collapsed.loc[collapsed["arm"].eq("b") & collapsed["seed"].lt(12), "score"] = 0.1
    known = assay.judge(collapsed, chance=0.1).compare().contrasts[0]
    assert known.finding.bad_runs is not None
    assert known.finding.bad_runs.b == 12
    unknown = assay.judge(collapsed).compare().contrasts[0]
    assert unknown.finding.bad_runs is not None
    assert unknown.finding.bad_runs.b == 0
    assert "collapsed ones were not looked for" in unknown.details


def table(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("arm,seed,score\na,0,0.9\na,0,0.8\nb,0,0.9", 'arm "a" has two scores for seed 0: row 1 and row 2'),
        ("arm,seed,score\na,0,\nb,0,0.9", "row 1: the score is no number (NaN); a run that diverged or failed is a"),
        ("arm,seed,score\na,0,inf\nb,0,0.9", 'row 1: the score is inf; a run that diverged is a result: write "div'),
        ('arm,seed,score\na,0,"0,9"\nb,0,0.9', 'row 1: the score "0,9" is no number; write it such as 0.912'),
        ("arm,seed,score\na,0,0.9\na,1,0.9\nb,2,0.9\nb,3,0.9", 'arms "a" and "b" share no seed (0, 1 against 2, 3)'),
        ("arm,score\na,0.9\nb,0.8", 'there is no column "seed", and a verdict compares runs in pairs; add the seed'),
        ("arm,seed,points\na,0,0.9", 'there is no column "score"; name the one that holds it with --score'),
        ("model,seed,score\na,0,0.9", 'there is no column "arm"; name the one that holds it with --arm'),
        ("arm,seed,score\na,0.5,0.9\nb,0,0.9", 'row 1: the seed is "0.5"; give a whole number'),
        ("arm,seed,score\na,-1,0.9\nb,0,0.9", "row 1: the seed is -1; give 0 or more"),
        ("arm,seed,score\n,0,0.9\nb,0,0.9", "row 1: there is no arm; name the one that the run is of"),
        ("arm,seed,score,state\na,0,0.9,done\nb,0,0.9,failed", 'row 1: "done" is no state'),
        ("arm,seed,score\na,0,98.2\nb,0,97.1", "accuracies are fractions from 0 to 1, and one is 98.2; divide"),
        ("arm,seed,fold,score\na,0,1,0.9\na,0,,0.9\nb,0,1,0.9", "some scores have a fold, and row 2 has none"),
        ("arm,seed,score\n", "there is no score; give a row for each run"),
        (f"arm,seed,score\n{'a' * 121},0,0.9", "has 121 letters; 120 are the most"),
    ],
)
def test_what_cannot_be_judged_is_one_sentence(text: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        assay.judge(table(text))
    assert len(caught.value.problems) == 1
    assert words in str(caught.value)


def test_every_bad_row_is_named_and_of_many_the_first(tmp_path: Path) -> None:
    frame = scores(20)
    frame.loc[frame["arm"].eq("b"), "score"] = np.nan
    path = tmp_path / "scores.csv"
    frame.to_csv(path, index=False)
    with pytest.raises(DataError) as caught:
        assay.judge(path)
    assert len(caught.value.problems) == 9
    assert "scores.csv: line 3: the score" in str(caught.value.problems[0])
    assert "12 more rows" in str(caught.value.problems[-1])


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='no arm "c"'):
        assay.judge(scores(), against="c")
    with pytest.raises(DataError, match="no per-image results, so no verdict on them speaks of new images"):
        assay.judge(scores(), claim="new images")
    with pytest.raises(SpecError, match="margin"):
        assay.judge(scores(), margin=-1.0)
    with pytest.raises(DataError, match="no such file or folder"):
        assay.judge(tmp_path / "nothing.csv")
    with pytest.raises(DataError, match="nothing here is known as results"):
        assay.judge(tmp_path)
    with pytest.raises(SpecError, match='no form "mlfow"'):
        assay.judge(tmp_path, form="mlfow")
    with pytest.raises(DataError, match="of type list"):
        assay.judge([1, 2])  # type: ignore[arg-type]
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="no text in UTF-8"):
        assay.judge(tmp_path / "bytes.csv")
    (tmp_path / "ragged.csv").write_text("arm,seed,score\na,0,0.9\nb,0,0.9,1,2\n")
    with pytest.raises(DataError, match="this is no table"):
        assay.judge(tmp_path / "ragged.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="this file is empty"):
        assay.judge(tmp_path / "empty.csv")
