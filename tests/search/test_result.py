"""What a search says that it found, against what was put in."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assay import api
from assay.analysis import best_arm
from assay.report import plates, render, search_sentences
from assay.report.figures.search import cost_front, parallel_coordinates
from assay.report.paper import drawn
from assay.report.search import optimism_table
from assay.search import best_study, importances, result_of_search
from assay.search.result import SearchResult
from assay.spec import parse_study, study_toml
from assay.store import StudyRecord

from .played import epoch_of, play, search_study


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    folder = tmp_path_factory.mktemp("search")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        return play(search_study(seeds=3, trials=17, constraints=["parameters <= 2500"]), folder / "store")


@pytest.fixture(scope="module")
def found(record: StudyRecord) -> SearchResult:
    return result_of_search(record)


def test_optimism_is_the_searchs_score_less_the_fresh_mean(record: StudyRecord, found: SearchResult) -> None:
    assert record.search is not None
    assert len(found.optimism) == 3
    for one in found.optimism:
        (run,) = [run for run in record.search.runs if run.arm == one.arm]
        fresh = [epoch_of(run.id, 9).validation_accuracy for run in record.runs_of(one.arm) if run.state == "finished"]
        assert one.search_score == epoch_of(run.id, one.epochs).validation_accuracy
        assert one.luck == pytest.approx(one.search_score - sum(fresh) / len(fresh))
        assert one.n == len(fresh)
    best = max(found.optimism, key=lambda one: (one.failed <= one.n, one.fresh or 0.0))
    assert found.best == best.arm


@pytest.mark.parametrize("objective", ["validation_accuracy", "validation_loss", ["validation_loss", "parameters"]])
def test_the_report_explains_the_arm_that_the_search_calls_best(
    record: StudyRecord, objective: str | list[str]
) -> None:
    """Losses are made to rank the finalists the other way round than accuracies do."""
    halving = {"halving": None} if isinstance(objective, list) else {}
    runs = tuple(
        replace(run, epochs=tuple(replace(one, validation_loss=one.validation_accuracy) for one in run.epochs))
        for run in record.runs
    )
    spec = {**record.spec, "search": {**record.spec["search"], "objective": objective, **halving}}
    turned = replace(record, runs=runs, spec=spec)
    assert best_arm(turned) == result_of_search(turned).best
    assert (best_arm(turned) == best_arm(record)) == (objective == "validation_accuracy")


@pytest.mark.parametrize(
    ("data", "vary"),
    [
        ({"validation": {"last": 0.2}, "stratified": False}, ["split", "init", "order"]),
        ({"validation": {"last": 0.2}, "stratified": False, "training": "20 per class"}, ["split", "init", "order"]),
        ({"validation": 0.2}, ["init", "order"]),
    ],
)
def test_no_optimism_is_claimed_where_fresh_seeds_are_scored_on_the_images_of_the_choice(
    record: StudyRecord, found: SearchResult, data: dict[str, object], vary: list[str]
) -> None:
    spec = {**record.spec, "data": {"name": "digits", **data}, "seeds": {"count": 3, "vary": vary}}
    fixed = replace(record, spec=spec)
    results = result_of_search(fixed).optimism
    assert [one.luck for one in results] == [None] * 3
    assert [one.difference for one in results] == [one.luck for one in found.optimism]
    text = " ".join(search_sentences(fixed))
    assert "optimism" not in text
    assert "scored on the validation images of the choice, so these scores are still too good" in text
    page = render(fixed, summaries={}, gallery=None, version="0")
    assert "those means are what to expect" not in page
    table = optimism_table(fixed, result_of_search(fixed))
    assert table.columns[-1].title == "luck of the seed"
    assert "still too good" in table.caption


def test_optimism_is_claimed_where_each_seed_draws_its_images(record: StudyRecord, found: SearchResult) -> None:
    assert "still too good" not in " ".join(search_sentences(record))
    assert optimism_table(record, found).columns[-1].title == "optimism"
    assert "those means are what to expect" in render(record, summaries={}, gallery=None, version="0")


def test_what_was_saved_counts_epochs_once(record: StudyRecord, found: SearchResult) -> None:
    """Formula-made epochs take one second each, whatever the network: what is missing goes by FLOPs."""
    assert record.search is not None
    runs = record.search.runs
    failed = [run for run in runs if run.is_failed]
    assert found.saved.epochs == sum(len(run.epochs) for run in runs) == found.saved.seconds
    assert found.saved.whole_epochs == 9 * (len(runs) - len(failed)) + sum(len(run.epochs) for run in failed)
    flops = {one.name: one.flops for one in found.outcomes}
    middle = statistics.median([1 / flops[run.arm] for run in runs for _ in run.epochs])
    missing = sum((9 - len(run.epochs)) * flops[run.arm] * middle for run in runs if not run.is_failed)
    assert found.saved.whole_seconds == pytest.approx(found.saved.seconds + missing)


def test_a_finalist_most_of_whose_fresh_runs_failed_is_not_the_best(found: SearchResult) -> None:
    first, second = found.optimism[:2]
    others = replace(second, fresh=0.5, n=3, failed=0)
    for failed, best in ((2, first.arm), (3, second.arm)):
        assert replace(found, optimism=(replace(first, fresh=0.99, n=2, failed=failed), others)).best == best
    hopeless = replace(others, failed=4)
    assert replace(found, optimism=(replace(first, fresh=0.99, n=2, failed=3), hopeless)).best == first.arm


def test_an_arm_most_of_whose_runs_failed_is_not_the_best(record: StudyRecord) -> None:
    best = best_arm(record)
    assert best is not None
    mine = [run for run in record.runs_of(best) if run.state == "finished"]
    for count in range(len(mine)):
        ids = {run.id for run in mine[:count]}
        runs = tuple(replace(run, state="diverged") if run.id in ids else run for run in record.runs)
        turned = replace(record, runs=runs)
        has_mostly_failed = 2 * sum(run.is_failed for run in turned.runs_of(best)) > len(turned.runs_of(best))
        assert (best_arm(turned) == best) == (not has_mostly_failed)


def test_trials_that_may_stop_early_would_have_taken_at_most_so_many_epochs(record: StudyRecord) -> None:
    assert record.search is not None
    stopping = {**record.spec, "training": {**record.spec["training"], "early_stopping": {"patience": 2}}}
    told = [" ".join(search_sentences(one)) for one in (record, replace(record, spec=stopping))]
    assert ["would have taken at most" in text for text in told] == [False, True]


def test_the_best_arm_is_a_study_of_its_own(found: SearchResult) -> None:
    best = best_study(found)
    assert best is not None
    again = parse_study(study_toml(best), file="best.toml", name="x")
    (arm,) = again.expand()
    outcome = next(one for one in found.outcomes if one.name == found.best)
    assert arm.identity() == found.study.candidate("x", outcome.chosen).identity()
    assert again.search is None


def test_importance_finds_the_parameter_that_decides() -> None:
    """A truth in which the learning rate explains nearly all."""
    from dataclasses import replace

    import numpy as np

    from assay.search.halving import Step
    from assay.search.result import Saved
    from assay.search.sampler import Observed, draw, generator_of

    study = search_study()
    assert study.search is not None
    known = [draw(study.search.space, generator_of(study.search, 5, n)) for n in range(60)]
    observed = tuple(
        Observed(one, (-abs(np.log10(float(one["rate"])) + 2.5) + 0.01 * int(one["filters"]),)) for one in known
    )
    made = SearchResult(study, "validation_accuracy", Step(0, {}), (), (), Saved(0, 0, 0, 0.0, 0.0), {}, observed, 9)
    told = importances(made)
    assert next(iter(told)) == "rate"
    assert told["rate"] > 0.8
    assert "share" not in told  # some trials lack it
    assert importances(replace(made, observed=observed[:9])) == {}


def test_the_page_shows_the_search_and_loads_nothing(record: StudyRecord, tmp_path: Path) -> None:
    from bs4 import BeautifulSoup

    page = render(record, summaries={}, gallery=None, version="0")
    assert page == render(record, summaries={}, gallery=None, version="0")
    soup = BeautifulSoup(page, "html.parser")
    section = soup.find(id="search")
    assert section is not None
    shown = {plot["data-figure"] for plot in section.find_all(class_="plot")}
    assert {f"figure-search-{name}" for name in ("optimism", "curves", "front", "parallel", "importance")} == shown
    found = result_of_search(record)
    lines = json.loads(section.find(id="figure-search-curves").string)["data"]
    drawn = sum(value is not None for trace in lines for value in trace["x"])
    assert record.search is not None
    assert drawn == sum(len(run.epochs) for run in record.search.runs)
    front = next(
        trace for trace in json.loads(section.find(id="figure-search-front").string)["data"] if "front" in trace["name"]
    )
    assert front["x"] == [one.parameters for one in found.front] == sorted(front["x"])
    assert front["y"] == sorted(front["y"])
    cells = [cell.get_text() for cell in section.find_all("td")]
    assert f"{100 * (found.optimism[0].luck or 0):+.2f} points" in cells


def test_an_unfinished_search_has_a_page_too(tmp_path: Path) -> None:
    from .played import Killed

    left = 25

    def kill(what: str) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Killed

    with pytest.raises(Killed):
        play(search_study(), tmp_path, watch=kill)
    result = api.result("small", store=tmp_path)
    assert "Under way" in result.report(tmp_path / "page.html").read_text()
    assert result.write_best() is None
    assert len(result.trials()) == 9


def test_the_commands_show_a_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from assay.cli.main import main

    play(search_study(constraints=["parameters <= 2500"]), tmp_path)
    told = {}
    for command in (["status", "small"], ["runs", "small"], ["compare", "small"], ["status", "small", "--json"]):
        with pytest.raises(SystemExit) as ended:
            main([*command, "--store", str(tmp_path)])
        assert ended.value.code == 0
        told[" ".join(command)] = capsys.readouterr().out
    assert "never trained" in told["status small"]
    assert "fresh seeds it is" in told["status small"]
    assert "paused" in told["runs small"]
    (values,) = json.loads(told["status small --json"])
    assert values["search"]["is_over"]
    assert values["search"]["best"] in told["compare small"]


def test_the_methods_of_a_search_are_cited(record: StudyRecord) -> None:
    from assay.report.references import references

    keys = {reference.key for reference in references(record)}
    assert {"akiba2019optuna", "bergstra2011algorithms", "li2018hyperband", "falkner2018bohb"} <= keys
    assert not keys & {"deb2002fast", "li2020system"}


def test_parallel_coordinates_end_in_the_score_beside_the_budget(found: SearchResult) -> None:
    figure = parallel_coordinates(found)
    titles = list(figure.layout.xaxis.ticktext)
    assert titles[-2:] == ["parameters", "validation<br>accuracy"]
    scored = [one for one in found.outcomes if one.score is not None]
    ends = []
    for trace in figure.data:
        rows = np.array([math.nan if y is None else y for y in trace.y]).reshape(-1, len(titles) + 1)
        ends += [*rows[:, len(titles) - 1]]
    scores = np.sort([one.score for one in scored])
    assert np.sort(ends) == pytest.approx((scores - scores[0]) / (scores[-1] - scores[0]))
    (limit,) = [shape for shape in figure.layout.shapes if shape.y0 == shape.y1 == 1]
    assert limit.x0 < titles.index("parameters") < limit.x1
    assert any(note.text == "≤ 2,500" for note in figure.layout.annotations)


def test_the_scatter_of_a_search_frames_every_trial(record: StudyRecord, found: SearchResult) -> None:
    figure = cost_front(record, found)
    assert figure.layout.yaxis.range is None  # Plotly frames what there is
    shown = sum(len(trace.x) for trace in figure.data if trace.mode == "markers" and "after" in trace.name)
    assert shown == sum(one.score is not None for one in found.outcomes)


def test_figures_of_a_search_are_drawn_for_papers(record: StudyRecord) -> None:
    blocks = plates(record, summaries={}, gallery=None)
    names = {"search-curves", "search-front", "search-parallel", "search-importance", "search-optimism"}
    assert names <= set(blocks)
    for name in names:
        assert drawn(blocks[name], width=5.5).axes
