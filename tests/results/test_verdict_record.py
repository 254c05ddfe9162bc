"""Whatever shows a verdict writes the look down first, once for each state of the study."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from assay.analysis import compare_study
from assay.api import result
from assay.cli import main
from assay.results import verdict_record
from assay.results.verdict_record import with_look
from assay.store import VerdictLook, open_writer, record_verdict_look
from assay.store.files import DATABASE
from assay.web import make_app
from assay.web.guard import Hosts

from ..stored import edited, put_plan, put_scores, put_study, record_of, stored_study

_DRAWN = np.random.default_rng(2015)
A = tuple(0.95 + 0.003 * _DRAWN.standard_normal(30))
B = tuple(np.array(A) + 0.001 + 0.002 * _DRAWN.standard_normal(30))
FAR = tuple(np.array(A) + 0.02 + 0.002 * _DRAWN.standard_normal(30))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Six seeds of two arms, finished, and nobody has seen a verdict."""
    put_study(tmp_path / "store", {"a": A[:6], "b": B[:6]})
    return tmp_path / "store"


def extend(store: Path, count: int, *, finished: int | None = None, start: int = 6) -> None:
    """Raise the count, and finish the new seeds, or as many as are given."""
    study = stored_study(count=count)
    end = count if finished is None else finished
    with open_writer(store) as writer:
        put_plan(writer, study)
        put_scores(writer, study, {"a": A[start:end], "b": B[start:end]}, start=start)


def scored(store: Path) -> list[str]:
    """The seeds that each look saw of the first arm."""
    return [look.seen["arms"]["a"]["scored"] for look in record_of(store).verdict_looks]


def run_cli(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def compare(store: Path) -> None:
    result("small", store=store).compare()


def one_pair(store: Path) -> None:
    result("small", store=store).compare("b", "a")


def status(store: Path) -> None:
    assert run_cli("status", "small", "--store", store) == 0


def status_of_all_as_json(store: Path) -> None:
    assert run_cli("status", "--json", "--store", store) == 0


def report(store: Path) -> None:
    result("small", store=store).report(explanations=())


def tables(store: Path) -> None:
    result("small", store=store).report(form="markdown")


def notebook_cell(store: Path) -> None:
    assert "b changed accuracy" in result("small", store=store)._repr_html_()


def page_request(address: str) -> Callable[[Path], None]:
    def request(store: Path) -> None:
        with TestClient(make_app(store, Hosts("127.0.0.1", 8765)), base_url="http://127.0.0.1:8765") as client:
            reply = client.get(address)
        assert reply.status_code == 200
        assert "b changed accuracy" in reply.text

    return request


SHOWN = {
    "compare": compare, "one pair": one_pair, "status": status, "all as JSON": status_of_all_as_json, "report": report,
    "tables": tables, "notebook": notebook_cell, "page": page_request("/api/studies/small/answer"),
    "page's report": page_request("/studies/small/report"),
}  # fmt: skip


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN.keys())
def test_what_shows_a_verdict_writes_one_look_before_and_none_when_it_shows_the_same(
    show: Callable[[Path], None], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(store)
    assert scored(store) == ["0-5"]
    show(store)
    compare(store)
    assert scored(store) == ["0-5"]
    extend(store, 8)
    # Nothing is shown where the look cannot be written down for a reason that is not the store's.
    monkeypatch.setattr(verdict_record, "record_verdict_look", _fails)
    with pytest.raises(RuntimeError, match="not written"):
        show(store)
    monkeypatch.undo()
    show(store)
    assert scored(store) == ["0-5", "0-7"]


def _fails(*_: object) -> bool:
    raise RuntimeError("not written")


def test_a_refusal_and_a_study_of_one_arm_are_no_looks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_study(tmp_path / "few", {"a": A[:5], "b": B[:5]})
    assert run_cli("status", "small", "--store", tmp_path / "few") == 0
    assert "b: not enough seeds for a verdict: 5 pairs, 6 are needed." in capsys.readouterr().out
    assert scored(tmp_path / "few") == []
    put_study(tmp_path / "one", {"a": A[:9]})
    assert run_cli("status", "small", "--store", tmp_path / "one") == 0
    assert scored(tmp_path / "one") == []


def test_a_look_holds_what_was_seen_and_what_was_called(tmp_path: Path) -> None:
    put_study(tmp_path, {"a": A[:7], "b": FAR[:6], "c": A[:7]}, count=9)
    before = time.time()
    comparison = result("small", store=tmp_path).compare()
    (look,) = record_of(tmp_path).verdict_looks
    assert (look.number, look.planned) == (1, 9)
    assert before <= look.time <= time.time()
    assert {name: (arm["scored"], arm["ended"]) for name, arm in look.seen["arms"].items()} == {
        "a": ("0-6", "0-6"), "b": ("0-5", "0-5"), "c": ("0-6", "0-6"),
    }  # fmt: skip
    assert sorted(look.seen["contrasts"].values()) == sorted(
        [contrast.outcome, f"{contrast.arm} against {contrast.baseline}"] for contrast in comparison.contrasts
    )


def test_a_study_that_grew_says_where_it_was_looked_at(store: Path) -> None:
    compare(store)
    extend(store, 17)
    (contrast,) = result("small", store=store).compare().contrasts
    looks = record_of(store).verdict_looks
    assert [(look.number, look.planned) for look in looks] == [(1, 6), (2, 17)]
    assert scored(store) == ["0-5", "0-16"]
    assert "planned at 6 seeds, looked at again at 17" in contrast.details
    assert contrast.finding.looks == (6, 17)
    # The same seeds, looked at once as planned, say so; their interval is narrower: nothing was spent before.
    put_study(store.parent / "once", {"a": A[:17], "b": B[:17]})
    (once,) = result("small", store=store.parent / "once").compare().contrasts
    assert "planned at 17 seeds; " in once.details
    assert once.difference is not None
    assert contrast.difference is not None
    assert once.difference.mean == contrast.difference.mean
    assert once.difference.high - once.difference.low < contrast.difference.high - contrast.difference.low


def test_a_decision_replays_from_the_store_alone(store: Path) -> None:
    compare(store)
    for count in (9, 17):
        extend(store, count)
        shown = result("small", store=store).compare()
    assert compare_study(record_of(store)) == shown


def test_a_count_that_is_lowered_and_raised_again_keeps_its_looks(tmp_path: Path) -> None:
    put_study(tmp_path, {"a": A[:17], "b": B[:17]})
    for count, start in ((17, 17), (8, 8), (24, 17), (8, 8), (24, 24)):
        extend(tmp_path, count, start=start)
        (contrast,) = result("small", store=tmp_path).compare().contrasts
        assert contrast.finding.n == count
    assert scored(tmp_path) == ["0-16", "0-7", "0-23", "0-7", "0-23"]
    assert contrast.finding.looks == (8, 17, 24)
    assert "planned at 17 seeds, looked at before at 8, looked at again at 24" in contrast.details


def test_a_store_that_cannot_be_written_shows_the_verdict_all_the_same(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own error; file permissions would not stop root."""
    compare(store)
    extend(store, 8)
    shown = compare_study(with_look(store, record_of(store)))
    with contextlib.closing(sqlite3.connect(store / DATABASE)) as connection, connection:
        connection.execute("DELETE FROM verdict_looks WHERE number = 2")
    connection.close()
    real = sqlite3.connect

    def read_only(path: object, **options: object) -> sqlite3.Connection:
        address = str(path) if "mode=r" in str(path) else f"file:{path}?mode=ro"
        return real(address, **{**options, "uri": True})  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", read_only)
    assert result("small", store=store).compare() == shown
    monkeypatch.undo()
    assert scored(store) == ["0-5"]


LOOKER = """
import sys
from pathlib import Path
from assay.api import result
store, me = Path(sys.argv[1]), sys.argv[2]
number = 0
while not (store / "stop").exists():
    result("small", store=store).compare()
    number += 1
    (store / f"looker-{me}").write_text(str(number))
"""


def test_processes_that_look_at_once_number_their_looks_without_gaps(store: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    lookers = [
        subprocess.Popen([sys.executable, "-c", LOOKER, str(store), str(me)], env=environment) for me in range(2)
    ]
    try:
        for count in range(7, 15):
            wait_for(lambda: all(_looks_taken(store, me) > 0 for me in range(2)))
            before = [_looks_taken(store, me) for me in range(2)]
            extend(store, 14, finished=count, start=count - 1)
            wait_for(lambda before=before: any(_looks_taken(store, me) > before[me] for me in range(2)))
    finally:
        (store / "stop").touch()
        codes = [looker.wait(timeout=120) for looker in lookers]
    assert codes == [0, 0]
    looks = record_of(store).verdict_looks
    assert [look.number for look in looks] == list(range(1, len(looks) + 1))
    assert scored(store)[0] == "0-5"
    assert len(looks) > 2
    (contrast,) = result("small", store=store).compare().contrasts
    assert contrast.finding.n == 14


def _looks_taken(store: Path, me: int) -> int:
    file = store / f"looker-{me}"
    return int(file.read_text() or 0) if file.exists() else 0


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def test_a_process_that_was_overtaken_takes_the_next_number(store: Path) -> None:
    slow = record_of(store)
    extend(store, 8)
    compare(store)
    assert with_look(store, slow).verdict_looks == record_of(store).verdict_looks
    assert scored(store) == ["0-7", "0-5"]
    (contrast,) = result("small", store=store).compare().contrasts
    assert (contrast.finding.n, contrast.finding.looks) == (8, (6, 8))


COMMANDS = (["status", "small"], ["compare", "small"], ["report", "small"], ["status", "--json"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        ("newer", 'look 1 at study "small" was recorded by a newer version of Assay; upgrade Assay'),
        ("DELETE FROM verdict_looks WHERE number = 2", 'the history of study "small" was edited: look 2 is missing'),
        ("DELETE FROM verdict_looks WHERE number = 1", 'the history of study "small" was edited: look 1 is missing'),
        ("UPDATE verdict_looks SET planned = 0", 'the history of study "small" was edited: look 1 planned 0 seeds'),
        ("UPDATE verdict_looks SET seen = '{\"form\": 1}'", "was edited: look 1 cannot be read"),
    ],
)
def test_looks_that_cannot_be_read_are_one_sentence(
    command: list[str], edit: str, sentence: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if edit == "newer":
        assert record_verdict_look(store, "small", VerdictLook(1, 1.8e9, 6, {"form": 2, "arms": []}))
    else:
        for count in (7, 8, 9):
            extend(store, count, start=count - 1)
            compare(store)
        with edited(store) as connection:
            connection.execute(edit)
    assert run_cli(*command, "--store", store) == 2
    output, errors = capsys.readouterr()
    assert sentence in errors
    assert len(errors.strip().splitlines()) == 1
    assert "Traceback" not in output + errors
