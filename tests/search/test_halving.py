"""Promotions are those of the papers, and a pure function of scores."""

from __future__ import annotations

import random

import pytest

from assay.search.halving import Bracket, Design, Step, bracket, hyperband, next_step


def test_brackets_are_those_of_the_hyperband_paper() -> None:
    """Algorithm 1 with R = 81 and eta = 3, as in the paper's section 3: n and r of every rung."""
    assert hyperband(81, 3) == (
        Bracket((81, 27, 9, 3, 1), (1, 3, 9, 27, 81)),
        Bracket((34, 11, 3, 1), (3, 9, 27, 81)),
        Bracket((15, 5, 1), (9, 27, 81)),
        Bracket((8, 2), (27, 81)),
        Bracket((5,), (81,)),
    )


def test_epochs_are_whole_and_end_with_the_most() -> None:
    found = hyperband(30, 3)
    assert [one.epochs for one in found] == [(1, 3, 10, 30), (3, 10, 30), (10, 30), (30,)]
    assert [one.sizes[0] for one in found] == [27, 12, 6, 4]


def _play(design: Design, score, *, order: random.Random | None = None) -> tuple[Step, list[tuple[int, int]]]:  # type: ignore[no-untyped-def]
    """Take a search to its end, jobs of a step one at a time and in any order."""
    scores: dict[int, dict[int, float | None]] = {}
    proposed, done = 0, []
    while True:
        step = next_step(design, proposed, scores)
        if step.is_over:
            return step, done
        if step.num_trials > proposed:
            proposed = step.num_trials
            continue
        trial, epochs = (order or random.Random(0)).choice(step.jobs)
        done.append((trial, epochs))
        scores.setdefault(trial, {})[epochs] = score(trial, epochs)


def test_a_bracket_trains_and_promotes_as_many_as_the_paper_says() -> None:
    design = Design((bracket(27, 3, 27, 3),), 27)
    step, done = _play(design, lambda trial, epochs: trial)
    assert [(rung.epochs, len(rung.trials)) for rung in step.rungs] == [(1, 27), (3, 9), (9, 3), (27, 1)]
    assert step.rungs[0].promoted == tuple(range(27, 18, -1))
    assert len(done) == len(set(done)) == 27 + 9 + 3 + 1


DESIGNS = {
    "hyperband": Design(hyperband(9, 3), 17),
    "independent": Design(hyperband(9, 3), 17, is_independent=True),
    "asha": Design((), 30, (1, 3, 9), 4, 3),
    "batches": Design((Bracket((4,), (0,)), Bracket((3,), (0,))), 7),
}


@pytest.mark.parametrize("kind", DESIGNS)
def test_the_order_in_which_runs_end_changes_no_decision(kind: str) -> None:
    def score(trial: int, epochs: int) -> float | None:
        return None if trial % 7 == 3 else (trial * 7919 % 101) / 101 + epochs / 1000

    (one, done), (other, again) = (_play(DESIGNS[kind], score, order=random.Random(seed)) for seed in (1, 2))
    assert one == other
    assert sorted(done) == sorted(again)
    assert len(done) == len(set(done))
    failed = {trial for rung in one.rungs for trial in rung.failed}
    assert failed
    assert not failed & {trial for rung in one.rungs for trial in rung.promoted}


def test_asha_promotes_the_best_third_of_each_rung_as_soon_as_it_is_known() -> None:
    """Algorithm 2, by hand: a promotion goes before a new trial, and one in the highest rung before others."""
    step, done = _play(Design((), 9, (1, 3, 9), 1, 3), lambda trial, epochs: -trial)
    assert done == [(1, 1), (2, 1), (3, 1), (1, 3), (4, 1), (5, 1), (6, 1), (2, 3), (7, 1), (8, 1), (9, 1), (3, 3),
                    (1, 9)]  # fmt: skip
    assert [len(rung.trials) for rung in step.rungs] == [9, 3, 1]
    # Where each trial is better than all before it, promotions come too early: what ASHA pays for not waiting.
    _, done = _play(Design((), 6, (1, 3, 9), 1, 3), lambda trial, epochs: trial)
    assert done == [(1, 1), (2, 1), (3, 1), (3, 3), (4, 1), (4, 3), (5, 1), (5, 3), (5, 9), (6, 1), (6, 3), (6, 9)]


def test_more_trials_leave_those_that_there_were_as_they_are() -> None:
    def score(trial: int, epochs: int) -> float:
        return trial * 7919 % 101

    few, _ = _play(Design(hyperband(9, 3), 17), score)
    more, _ = _play(Design((*hyperband(9, 3), *hyperband(9, 3)), 34), score)
    assert more.rungs[: len(few.rungs)] == few.rungs


def test_a_space_that_runs_out_is_searched_with_what_there_is() -> None:
    design = Design(hyperband(9, 3), 17)
    step = next_step(design, 4, {t: {1: t, 3: t, 9: t} for t in range(1, 5)}, is_exhausted=True)
    assert step.is_over
    assert [rung.trials for rung in step.rungs] == [(1, 2, 3, 4), (2, 3, 4), (4,)]
