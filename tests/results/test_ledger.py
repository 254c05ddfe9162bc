"""A store's ledger: every claim in order, fixed by the looks that the store holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import assay
from assay.analysis.ledger import Shown, ledger_of
from assay.analysis.replay import p_values_at
from assay.api import result
from assay.cli import main
from assay.errors import DataError, NoStore
from assay.stats import History, Look, Spending, decide
from assay.stats.online import next_level
from assay.store import open_writer

from ..stored import edited, put_plan, put_scores, put_study, record_of, stored_study

_DRAWN = np.random.default_rng(2017)
A = tuple(0.90 + 0.003 * _DRAWN.standard_normal(30))
SAME = tuple(np.array(A) + 0.003 * _DRAWN.standard_normal(30))
FAR = tuple(np.array(A) + 0.02 + 0.002 * _DRAWN.standard_normal(30))


def seen(time: float, study: str, outcome: str, p: float | None, *, key: str = "k", arms: str = "") -> Shown:
    return Shown(time, study, 1, key, f"{study} b against a", outcome, p, frozenset({arms or study}))


def test_claims_stand_at_the_level_that_was_fixed_when_they_were_first_judged() -> None:
    book = ledger_of(
        [
            seen(1, "one", "better", 0.001),
            seen(2, "two", "undecided", 0.3),
            seen(3, "three", "better", 0.001),
            seen(4, "four", "worse", 0.02),
        ]
    )
    assert [one.level for one in book.entries] == pytest.approx(
        [next_level(1, []), next_level(2, [1]), next_level(3, [1]), next_level(4, [1, 3])]
    )
    assert [one.standing for one in book.entries] == ["stands", "no claim", "stands", "stands"]
    assert [one.study for one in book.claims] == ["one", "three", "four"]
    assert "4 comparisons in 4 studies, 3 claims: 3 stand with the false discovery rate at 5 %" in book.headline
    # Without the claims before it, the last one would not stand: its p is above its level.
    assert ledger_of([seen(4, "four", "worse", 0.03)]).entries[0].standing == "does not stand"


def test_a_study_earns_nothing_from_its_own_claims_nor_from_those_that_share_runs_with_it() -> None:
    own = ledger_of([seen(1, "one", "better", 1e-9, key=str(number)) for number in range(4)])
    alone = [next_level(number, []) for number in range(1, 5)]
    assert [one.level for one in own.entries] == alone
    shared = ledger_of([seen(number, f"s{number}", "better", 1e-9, arms="same runs") for number in range(4)])
    assert [one.level for one in shared.entries] == alone
    apart = ledger_of([seen(number, f"s{number}", "better", 1e-9) for number in range(4)])
    assert [one.level for one in apart.entries][3] > alone[3]


def test_a_claim_may_come_later_be_withdrawn_and_what_comes_later_changes_no_level() -> None:
    first = [seen(1, "one", "undecided", 0.2), seen(2, "two", "better", 0.002)]
    late = [seen(3, "one", "better", 0.0001), seen(4, "two", "undecided", 0.002)]
    before, after = ledger_of(first), ledger_of(first + late)
    assert [one.level for one in before.entries] == [one.level for one in after.entries]
    assert [one.standing for one in after.entries] == ["stands", "withdrawn"]
    assert after.entries[0].claimed == 3
    assert [one.study for one in after.claims] == ["two", "one"]
    assert after.entries[1].outcome == "better"


def test_refusals_are_no_tests_and_an_unknown_p_lets_nothing_stand() -> None:
    book = ledger_of([seen(1, "one", "better", None)])
    assert book.entries[0].standing == "does not stand"
    assert book.entries[0].p is None
    assert ledger_of([]).next_level == next_level(1, [])
    assert ledger_of([]).headline == "No verdict has been shown yet, so there is no claim"


@pytest.mark.parametrize("num_tests", [0, 3, 30, 300])
def test_so_many_seeds_can_give_a_p_that_stands(num_tests: int) -> None:
    """With that many seeds the clearest result there is stands, and with one fewer it does not."""
    book = ledger_of([seen(number, f"s{number}", "undecided", 0.9) for number in range(num_tests)])
    clearest = {}
    for n in (book.next_seeds, book.next_seeds - 1):
        histories = [History((Look(0.1 + 1e-6 * np.arange(n), n),), Spending(n))]
        clearest[n] = decide(histories)[0].p_value
    assert clearest[book.next_seeds] <= book.next_level
    assert book.next_seeds == 6 or clearest[book.next_seeds - 1] > book.next_level


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two studies in one store, each looked at; the second once more with twice its seeds."""
    folder = tmp_path / "store"
    put_study(folder, {"a": A[:8], "b": FAR[:8], "c": SAME[:8]})
    result("small", store=folder).compare()
    return folder


def test_looks_hold_the_p_of_what_they_show_and_older_looks_are_replayed(store: Path) -> None:
    book = assay.ledger(store)
    assert [(one.label, one.outcome, one.standing) for one in book.entries] == [
        ("b against a", "better", "stands"),
        ("c against a", "undecided", "no claim"),
    ]
    finding = result("small", store=store).compare().contrasts[0].finding
    assert book.entries[0].p == finding.p_value
    assert assay.ledger(store) == book  # asking is no look
    assert len(record_of(store).verdict_looks) == 1
    # As an earlier version of Assay wrote it, also after more seeds have come.
    with open_writer(store) as writer:
        study = stored_study(("a", "b", "c"), count=16)
        put_plan(writer, study)
        put_scores(writer, study, {"a": A[8:16], "b": FAR[8:16], "c": SAME[8:16]}, start=8)
    record = record_of(store)
    look = record.verdict_looks[0]
    assert p_values_at(record, 1) == look.seen["p"]
    older = {key: value for key, value in look.seen.items() if key != "p"}
    assert p_values_at(replace(record, verdict_looks=(replace(look, seen=older),)), 1) == look.seen["p"]
    with edited(store) as connection:
        connection.execute("UPDATE verdict_looks SET seen = ?", (json.dumps(older),))
    assert assay.ledger(store) == book
    result("small", store=store).compare()
    grown = assay.ledger(store)
    assert [one.level for one in grown.entries] == [one.level for one in book.entries]
    assert grown.entries[0].look == 1


def test_an_arm_that_was_changed_keeps_its_earlier_claim(store: Path) -> None:
    """The look's own p stands in the ledger although the arm's runs are no longer in the study."""
    before = assay.ledger(store).entries[0]
    other = stored_study(("a", "b"), count=8)
    arms = [{"name": "a", "layers": ["flatten", "dense classes softmax"]},
            {"name": "b", "layers": ["flatten", "dense 9 relu", "dense classes softmax"]}]  # fmt: skip
    changed = type(other).of({**other.model_dump(mode="json", exclude_none=True), "arms": arms})
    with open_writer(store) as writer:
        put_plan(writer, changed)
    result("small", store=store).compare()
    assert assay.ledger(store).entries[0] == before


def table(arms: dict[str, tuple[float, ...]], n: int) -> pd.DataFrame:
    rows = [{"arm": arm, "seed": seed, "score": value} for arm, of in arms.items() for seed, value in enumerate(of[:n])]
    return pd.DataFrame(rows)


def test_judged_scores_are_in_the_ledger_only_where_a_store_is_named(store: Path) -> None:
    frame = table({"a": A, "b": FAR}, 8)
    assay.judge(frame, name="outside")
    assert len(assay.ledger(store).entries) == 2
    assay.judge(frame, store=store, name="outside")
    book = assay.ledger(store)
    assert [(one.study, one.outcome) for one in book.entries][2] == ("outside", "better")
    assay.judge(frame, store=store, name="outside")  # the same again is no other look
    assert assay.ledger(store) == book
    alone = store.parent / "new"
    assay.judge(frame, store=alone, name="outside")
    assert len(assay.ledger(alone).claims) == 1
    with pytest.raises(NoStore):
        assay.ledger(store.parent / "nothing")


def test_looks_at_a_growing_table_are_paid_for(tmp_path: Path) -> None:
    """The verdict after two looks is that of a study that was looked at twice, not that of a table seen once."""
    gains = np.where(np.arange(30) < 8, 0.003 * (-1.0) ** np.arange(30), 0.002)  # the first look shows nothing
    arms = {"a": A, "b": tuple(np.array(A) + gains + 0.001 * _DRAWN.standard_normal(30))}
    for n in (8, 20):
        judged = assay.judge(table(arms, n), store=tmp_path, name="growing")
    once = assay.judge(table(arms, 20)).compare().contrasts[0].finding
    twice = judged.compare().contrasts[0].finding
    assert twice.looks == (8, 20)
    assert once.looks == (20,)
    assert twice.adjusted_p is not None
    assert once.adjusted_p is not None
    assert twice.adjusted_p > once.adjusted_p
    changed = table(arms, 20)
    changed.loc[changed["seed"].eq(3) & changed["arm"].eq("b"), "score"] = 0.99
    with pytest.raises(DataError, match=r"b, seed 3 scored 0\.\d+ when it was last judged, and is 0.99; give back"):
        assay.judge(changed, store=tmp_path, name="growing")
    with pytest.raises(DataError, match="is not there any more"):
        assay.judge(table(arms, 19), store=tmp_path, name="growing")


def test_the_command_line_prints_claims_and_plain_json(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        assert not ended.value.code
        return capsys.readouterr().out

    text = run("ledger", "--store", store)
    assert text.startswith("2 comparisons in 1 study, 1 claim: 1 stands")
    assert "b against a: better" in text
    assert "c against a" not in text
    assert "c against a: undecided" in run("ledger", "--store", store, "--all")
    values = json.loads(run("ledger", "--store", store, "--json"))
    assert values["claims_that_stand"] == 1
    assert values["claims"][0]["stands"] is True
    assert values["rate"] == 0.05
    assert len(values["entries"]) == values["comparisons"] == 2
    # A table of the study, judged on the command line, with a report.
    scores = tmp_path / "scores.csv"
    scores.write_text(run("runs", "small", "--store", store, "--csv"))
    headline = json.loads(run("judge", scores, "--json"))["headline"]
    assert headline in run("judge", scores, "-o", tmp_path / "report.html")
    assert "Made by Assay" in (tmp_path / "report.html").read_text(encoding="utf-8")
    both = tmp_path / "both.csv"
    pd.concat([table({"a": A, "b": FAR}, 8).assign(data=name) for name in ("x", "y")]).to_csv(both, index=False)
    shown = run("judge", both, "--store", tmp_path / "other", "-o", tmp_path / "both.md")
    assert "DATA SET x" in shown
    assert "each has 5 % of false calls of its own" in shown
    assert (tmp_path / "both-both-y.md").exists()
    assert [one.study for one in assay.ledger(tmp_path / "other").entries] == ["both-x", "both-y"]
    assert len(json.loads(run("judge", both, "--json"))["data_sets"]) == 2
