"""Tables with a row for each run."""

from __future__ import annotations

from ...analysis.measured import measure_of, run_values
from ...analysis.scores import failures, ordered_arms, score_of
from ...numerals import counted, percent, seconds, significant
from ...store.records import StudyRecord
from ..palette import arm_styles
from .table import Cell, Column, Table, headings, line


def failures_table(study: StudyRecord) -> Table:
    """The runs that failed, each with its reason and what to try."""
    styles = arm_styles(study)
    rows = tuple(
        line(
            Cell(run.arm, styles.get(run.arm)),
            run.label.removeprefix("seed "),
            run.state,
            f"{len(run.epochs)} of {run.epochs_planned}" if run.epochs_planned else str(len(run.epochs)),
            run.reason or "not recorded",
            run.advice or "–",
        )
        for run in failures(study)
    )
    texts = tuple(Column(title, is_number=False) for title in ("what happened", "reason", "what to try"))
    head = headings("arm", "seed")
    columns = (*head, texts[0], Column("epochs done"), *texts[1:])
    return Table(f"{counted(len(rows), 'run')} without a score.", columns, rows)


def runs_table(study: StudyRecord) -> Table:
    """Every run of the study."""
    if study.source:
        return _scores_table(study)
    styles = arm_styles(study)
    has_test = any(run.test_accuracy is not None for run in study.runs)
    has_folds = any(run.fold for run in study.runs)
    has_kept = any(run.kept is not run.last for run in study.runs)
    rows = []
    for arm in ordered_arms(study):
        for run in study.runs_of(arm.name):
            last = run.kept
            test = (percent(score_of(run, "test")),) if has_test else ()
            rows.append(
                line(
                    Cell(arm.name, styles[arm.name]),
                    str(run.seed),
                    *((str(run.fold or "–"),) if has_folds else ()),
                    run.state,
                    f"{len(run.epochs)} of {run.epochs_planned}" if run.epochs_planned else str(len(run.epochs)),
                    *((str(last.epoch) if last else "–",) if has_kept else ()),
                    percent(last.train_accuracy if last else None),
                    percent(last.validation_accuracy if last else None),
                    significant(last.validation_loss if last else None),
                    *test,
                    seconds(run.seconds),
                    run.id[:12],
                )
            )
    columns = (
        *headings("arm", "seed", *(("fold",) if has_folds else ())),
        Column("state", is_number=False),
        Column("epochs"),
        *((Column("epoch kept"),) if has_kept else ()),
        *(Column(title) for title in ("training accuracy", "validation accuracy", "validation loss")),
        *((Column("test accuracy"),) if has_test else ()),
        Column("time"),
        Column("run", is_number=False),
    )
    figures = "with the figures of the epoch kept" if has_kept else "as last recorded"
    return Table(f"All {counted(len(rows), 'run')}, {figures}.", columns, tuple(rows))


def _scores_table(study: StudyRecord) -> Table:
    """Every score that comes from elsewhere."""
    styles = arm_styles(study)
    has_folds = any(run.fold for run in study.runs)
    measure = measure_of(study)
    values = dict(zip(study.columns.ids, run_values(study, "validation").tolist(), strict=True))
    rows = [
        line(
            Cell(arm.name, styles[arm.name]),
            str(run.seed),
            *((str(run.fold or "–"),) if has_folds else ()),
            run.state,
            measure.unit.value(values[run.id] if run.state == "finished" else None),
        )
        for arm in ordered_arms(study)
        for run in study.runs_of(arm.name)
    ]
    head = headings("arm", "seed", *(("fold",) if has_folds else ()))
    columns = (*head, Column("state", is_number=False), Column(measure.label))
    return Table(f"All {counted(len(rows), 'run')}, as {study.source} has them.", columns, tuple(rows))


def retrained_table(study: StudyRecord) -> Table:
    """The runs of an arm that was trained anew on training and validation images, with their test accuracy."""
    styles = arm_styles(study)
    rows = tuple(
        line(
            Cell(run.arm, styles.get(run.arm)),
            str(run.seed),
            run.state,
            f"{len(run.epochs)} of {run.epochs_planned}",
            percent(run.test_accuracy),
            seconds(run.seconds),
        )
        for run in study.retrained
    )
    columns = (
        *headings("arm", "seed"),
        Column("state", is_number=False),
        *(Column(title) for title in ("epochs", "test accuracy", "time")),
    )
    images = "; ".join(dict.fromkeys(study.retrained_on(run.arm) for run in study.retrained))
    return Table(f"Trained anew on {images}, and scored on the test split once.", columns, rows)
