"""Tables of verdicts and of diagnoses."""

from __future__ import annotations

from collections.abc import Sequence

from ...analysis.classes import class_changes
from ...analysis.contrasts import Contrast, contrasts, factor_effects
from ...analysis.diagnoses import Diagnoses
from ...analysis.general import general_verdicts
from ...analysis.measured import measure_of
from ...analysis.scores import Split
from ...measures import PERCENT, Unit
from ...numerals import counted, p_value, signed
from ...store.records import StudyRecord
from ..palette import arm_styles
from .table import Cell, Column, Table, headings, line


def contrasts_table(study: StudyRecord, *, split: Split = "validation") -> Table:
    """Every contrast with its paired difference, intervals, p, and what its pairs could find."""
    shown = contrasts(study, split=split)
    baseline = shown[0].baseline if shown else ""
    origin = "the first arm on the same data set" if study.sets else baseline
    caption = f"Paired differences in {split} {_measured(study)} from {origin}{_in_unit(study)}."
    styles = arm_styles(study)
    rows = [(Cell(c.arm, styles[c.arm]), c) for c in shown]
    return _findings_table(caption, "arm", rows, measure_of(study).unit)


def general_table(study: StudyRecord, *, split: Split = "validation") -> Table | None:
    """Verdicts over all data sets, with the outcome on each; ``None`` for a study on one."""
    verdicts = general_verdicts(study, split)
    if not verdicts:
        return None
    rows = []
    for one in verdicts:
        finding, ratio = one.finding, one.finding.ratio
        rows.append(
            line(
                f"{one.arm} against {one.baseline}",
                finding.outcome,
                str(finding.n),
                "–" if ratio is None else f"{signed(100 * (ratio[0] - 1), 1)} %",
                "–" if ratio is None else f"[{signed(100 * (ratio[1] - 1), 1)}, {signed(100 * (ratio[2] - 1), 1)}]",
                p_value(finding.p_value),
                p_value(finding.adjusted_p),
                p_value(finding.rank_p),
                *(one.by_data.get(name, "–") for name in study.sets),
            )
        )
    name, outcome, *numbers = headings(
        "comparison", "outcome", "data sets", "change of errors", "95 % interval", "p", "p after Holm", "signed ranks",
        *study.sets,
    )  # fmt: skip
    by_data = [Column(column.title, is_number=False) for column in numbers[-len(study.sets) :]]
    caption = f"In general: how much the {split} error rate changes, over data sets; then the verdict on each."
    head = (name, Column(outcome.title, is_number=False), *numbers[: -len(study.sets)], *by_data)
    return Table(caption, head, tuple(rows))


def effects_table(study: StudyRecord, *, split: Split = "validation") -> Table:
    """Main effects and interactions of crossed factors."""
    shown = factor_effects(study, split=split)
    rows = []
    for contrast in shown:
        effect = contrast.effect
        name = f"{contrast.baseline} to {contrast.arm}"
        if effect is not None:
            on = f"{contrast.data}, " if contrast.data else ""
            name = f"{on}{effect.factor}: {effect.low} to {effect.high}"
            if effect.is_interaction:
                name += f", by {effect.by}: {effect.by_low} to {effect.by_high}"
        rows.append((Cell(name), contrast))
    measured = f"{split} {_measured(study)}{_in_unit(study)}"
    caption = f"Effects of the factors on {measured}: each alone, then two together."
    return _findings_table(caption, "effect", rows, measure_of(study).unit)


def _measured(study: StudyRecord) -> str:
    """The measure, with its direction where a lower value is better."""
    measure = measure_of(study)
    return measure.label if measure.higher_is_better else f"{measure.label} (lower is better)"


def _in_unit(study: StudyRecord) -> str:
    words = measure_of(study).unit.words
    return f", in {words}" if words else ""


def _findings_table(caption: str, first_column: str, rows: Sequence[tuple[Cell, Contrast]], unit: Unit) -> Table:
    contrasts_ = [contrast for _, contrast in rows]
    has_many = len(rows) > 1 and any(contrast.adjusted_p is not None for contrast in contrasts_)
    has_bootstrap = any(contrast.finding.bootstrap for contrast in contrasts_)
    has_margin = any(contrast.finding.equivalence_p is not None for contrast in contrasts_)
    is_corrected = any(contrast.finding.is_corrected for contrast in contrasts_)
    lines = []
    for name, contrast in rows:
        finding, difference = contrast.finding, contrast.difference
        shown = unit.within(difference.low, difference.high) if difference else unit
        bootstrap = unit.changes(finding.bootstrap.low, finding.bootstrap.high) if finding.bootstrap else "agrees"
        wins = finding.superiority
        lines.append(
            line(
                name,
                contrast.label,
                str(finding.n),
                shown.change(difference.mean) if difference else "–",
                unit.changes(difference.low, difference.high) if difference else "needs 2 pairs",
                *((bootstrap,) if has_bootstrap else ()),
                ", ".join(map(str, finding.looks[-3:])) or "–",
                p_value(finding.p_value),
                *((p_value(contrast.adjusted_p),) if has_many else ()),
                *(
                    (p_value(finding.equivalence_p) if finding.equivalence_p is not None else "–",)
                    if has_margin
                    else ()
                ),
                f"{100 * wins.mean:.0f} % [{100 * wins.low:.0f}, {100 * wins.high:.0f}]" if wins else "–",
                "–" if finding.smallest is None else shown.number(finding.smallest),
            )
        )
    titles = (
        "folds" if is_corrected else "pairs",
        "mean difference",
        "95 % interval",
        *(("BCa bootstrap",) if has_bootstrap else ()),
        "looks at",
        "p",
        *(("p after Holm",) if has_many else ()),
        *(("equivalence p",) if has_margin else ()),
        "better on",
        "could find",
    )
    name_column, *numbers = headings(first_column, *titles)
    return Table(caption, (name_column, Column("outcome", is_number=False), *numbers), tuple(lines))


def classes_table(study: StudyRecord, *, split: Split = "validation") -> Table | None:
    """Recall of every class, of every arm against the first; ``None`` where nothing is known of classes.

    Of many classes and arms those that changed the most.
    """
    changes = class_changes(study, split=split)
    if not changes:
        return None
    styles = arm_styles(study)
    shown = sorted(changes, key=lambda one: (one.adjusted_p, one.p_value))[:_MOST_CLASSES]
    rows = tuple(
        line(
            Cell(one.b, styles[one.b]),
            one.name,
            ("hurt" if one.difference < 0 else "helped") if one.is_named else "not shown",
            PERCENT.within(one.low, one.high).change(one.difference),
            PERCENT.changes(one.low, one.high),
            p_value(one.p_value),
            p_value(one.adjusted_p),
        )
        for one in shown
    )
    some = f" The {len(shown)} with the smallest p of {len(changes)}." if len(shown) < len(changes) else ""
    caption = (
        f"Differences in {split} recall of each class from {changes[0].a}, in percentage points, each with its own "
        f"95 % interval.{some}"
    )
    arm, *numbers = headings("arm", "difference", "95 % interval", "p", "p after Benjamini and Yekutieli")
    words = (Column("class", is_number=False), Column("outcome", is_number=False))
    return Table(caption, (arm, *words, *numbers), rows)


_MOST_CLASSES = 40


def diagnoses_table(study: StudyRecord, diagnoses: Diagnoses) -> Table | None:
    """The diagnoses of each arm's runs; ``None`` where there are none."""
    styles = arm_styles(study)
    rows = tuple(
        line(
            Cell(row.arm, styles[row.arm]),
            row.kind,
            f"{row.num_runs} of {row.of}",
            f"{row.example.evidence} (seed {row.seed})",
            row.example.advice,
        )
        for row in diagnoses.arms
    )
    if not rows:
        return None
    texts = [Column(title, is_number=title == "runs") for title in ("diagnosis", "runs", "evidence", "what to try")]
    looked_at = counted(sum(diagnoses.looked_at.values()), "run")
    return Table(f"Diagnoses from the recorded curves of {looked_at}.", (Column("arm", is_number=False), *texts), rows)
