"""assay status"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..analysis.measured import measure_of
from ..analysis.scores import LEAKY, Split
from ..numerals import counted
from ..store import StudyRecord, collection_paused
from ..store.records import FAILED
from .completion import studies
from .options import json_option, print_json, store_option
from .tables import lowered, print_table, say, without_empty

if TYPE_CHECKING:
    from ..analysis import Contrast


@click.command("status")
@click.argument("study", shell_complete=studies, required=False)
@store_option
@json_option
def command(study: str | None, store: Path | None, as_json: bool) -> None:
    """Show finished, running and queued runs: of STUDY, or of every study in the store."""
    if study is None and not as_json:
        from ..api import overviews

        _print_studies(overviews(store))
        return
    from ..results.result import result

    with collection_paused():
        records = [result(name, store=store).shown for name in _names(study, store)]
        if as_json:
            print_json([as_values(record) for record in records])
            return
        print_answer(records[0])


def _names(study: str | None, store: Path | None) -> list[str]:
    if study is None:
        from ..api import studies

        return studies(store)
    from .options import study_name

    return [study_name(study, store)]


def _print_studies(overviews: list[dict[str, Any]]) -> None:
    rows = []
    for study in overviews:
        states = Counter(study["states"])
        all_states = states + Counter(study["trial_states"])
        rows.append(
            [f"{study['name']} (leaky)" if study["is_leaky"] else study["name"], str(study["num_arms"]),
             *(str(all_states[state]) for state in ("finished", "running", "queued")),
             str(sum(states[state] for state in FAILED)), str(study["num_looks"]), study["question"]]
        )  # fmt: skip
    columns = ["study", "arms", "finished", "running", "queued", "failed", "looks", "question"]
    columns, rows = without_empty(columns, rows, may_go=("running", "queued", "failed", "looks"))
    print_table(columns, rows, right=range(1, len(columns) - 1))


def print_answer(record: StudyRecord) -> None:
    """Prints the state of a study, its arms and their verdicts so far."""
    from ..analysis import answer, arm_scores, retrained_sentences, stop_sentences

    states = record.columns.states
    say(record.question or record.name)
    if record.is_leaky:
        say(LEAKY)
    if record.search is not None:
        from ..report import search_sentences

        for sentence in search_sentences(record):
            say(f"{sentence}.")
        if not record.runs:
            return
        click.echo("Finalists, trained anew with fresh seeds:")
    click.echo(
        f"{counted(len(record.runs), 'run')}: " + ", ".join(f"{count} {state}" for state, count in states.most_common())
    )
    splits: list[Split] = ["validation"]
    if record.columns.has_test:
        splits.append("test")
    measure = measure_of(record)
    unit = measure.unit
    for split in splits:
        rows = []
        for arm in arm_scores(record, split=split):
            interval = "needs 2 seeds"
            written = unit
            if arm.interval:
                interval = unit.interval(arm.interval.low, arm.interval.high)
                written = unit.within(arm.interval.low, arm.interval.high)
            mean = written.value(arm.mean) if arm.mean is not None else ""
            rows.append([arm.arm, f"{arm.n} of {arm.num_runs}", mean, interval if arm.n else ""])
        print_table(["arm", "n", f"mean {split} {measure.label}", "95 % interval"], rows, right=[1, 2, 3])
        if split == "validation":
            for sentence in stop_sentences(record):
                say(f"{sentence}.")
        result = answer(record, split=split)
        sentences = [_sentence(contrast) for contrast in result.verdicts]
        if record.sets:
            sentences = [result.headline, *sentences]
        for sentence in sentences or [result.headline]:
            say(f"On {split}: {_inside(sentence)}.")
        if result.effects:
            say(f"Factors are averaged over the others; assay compare {record.name} shows every arm's verdict.")
        for note in result.notes:
            if note != LEAKY:  # it stands at the top
                say(note)
    for sentence in retrained_sentences(record):
        say(f"On test: {sentence}.")


def _sentence(contrast: Contrast) -> str:
    """A verdict's sentence; a refusal, which names no arm, gets its arm in front."""
    is_refused = contrast.outcome == "too few seeds"
    return f"{contrast.arm}: {lowered(contrast.sentence)}" if is_refused else contrast.sentence


def _inside(sentence: str) -> str:
    """A sentence as it reads after a colon; one that begins with a name keeps it as it is."""
    is_phrase = sentence.startswith(("No ", "Not ", "The effect ", "Of "))
    return lowered(sentence) if is_phrase else sentence


def as_values(record: StudyRecord) -> dict[str, object]:
    """A study's state and answer, for JSON."""
    from ..analysis import answer, arm_scores, retrained_sentences, stop_sentences
    from ..report import search_values

    result = answer(record)
    return {
        "study": record.name,
        "question": record.question,
        "leaky": record.is_leaky,
        "states": record.columns.states,
        "metric": measure_of(record).name,
        "arms": [
            {"arm": arm.arm, "n": arm.n, "mean": arm.mean,
             "interval": [arm.interval.low, arm.interval.high] if arm.interval else None}
            for arm in arm_scores(record)
        ],
        "answer": [result.headline] if result.race is not None else [one.sentence for one in result.verdicts],
        "headline": result.headline,
        **({"general": [one.as_dict() for one in result.general]} if result.general else {}),
        **({"best": result.race.as_dict()} if result.race is not None else {}),
        "stopped": stop_sentences(record),
        "retrained": retrained_sentences(record),
        "looks": len(record.looks),
        **({"search": search_values(record)} if record.search is not None else {}),
    }  # fmt: skip
