"""A study's tables as Markdown, and as LaTeX with booktabs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..analysis.answer import answer
from ..analysis.contrasts import ranking_of
from ..analysis.diagnoses import diagnose_study
from ..analysis.scores import LEAKY, arm_scores
from ..numerals import capital
from ..store.records import StudyRecord
from .inputs import NetworkTable
from .references import bibtex, references
from .tables import (
    Table,
    arms_table,
    classes_table,
    contrasts_table,
    costs_table,
    diagnoses_table,
    effects_table,
    failures_table,
    general_table,
    images_table,
    ranking_table,
)

_LONG = 28  # characters from which a column of texts is a paragraph in LaTeX


@dataclass(frozen=True)
class Titled:
    """A table with its heading and the name by which a text may refer to it."""

    label: str
    heading: str
    table: Table


def study_tables(
    study: StudyRecord, summaries: Mapping[str, NetworkTable], shared: Mapping[str, int] | None = None
) -> tuple[Titled, ...]:
    """The tables of a study's report that a text would quote, those without rows left out."""
    has_contrasts = len(study.arms) > 1 and any(arm.n for arm in arm_scores(study))
    ranking, diagnoses = ranking_of(study), diagnose_study(study, shared=shared)
    tables: list[tuple[str, str, Table | None]] = [
        ("arms", "Arms", arms_table(study, summaries)),
        ("general", "In general", general_table(study)),
        ("effects", "Factors", effects_table(study) if answer(study).effects else None),
        ("contrasts", "Contrasts", contrasts_table(study) if has_contrasts else None),
        ("classes", "Classes", classes_table(study) if has_contrasts else None),
        ("ranking", "Ranking", ranking_table(study, ranking) if ranking else None),
    ]
    if any(arm.n for arm in arm_scores(study, split="test")):
        tables += [
            ("test-arms", "Test split", arms_table(study, summaries, split="test")),
            ("test-general", "In general, on the test split", general_table(study, split="test")),
            ("test-effects", "Factors on the test split", _effects_on_test(study)),
            ("test-contrasts", "Contrasts on the test split", _on_test(study)),
            ("test-images", "Test images", images_table(study)),
        ]
    tables += [
        ("failures", "Runs that failed", failures_table(study)),
        ("diagnoses", "Diagnoses", diagnoses_table(study, diagnoses)),
        ("cost", "Cost", costs_table(study, summaries)),
    ]
    return tuple(Titled(label, heading, table) for label, heading, table in tables if table is not None and table.rows)


def as_markdown(
    study: StudyRecord, *, summaries: Mapping[str, NetworkTable], version: str, shared: Mapping[str, int] | None = None
) -> str:
    """Question, verdicts, tables and references as Markdown."""
    result = answer(study)
    lines = [f"# {_md(study.question or study.name)}", "", f"**{result.label}.** {_md(result.headline)}.", ""]
    if len(result.verdicts) > 1:
        sentences = [one.sentence for one in result.general] + [contrast.sentence for contrast in result.verdicts]
        lines += [f"- {_md(sentence)}." for sentence in sentences] + [""]
    for note in result.notes:
        lines += [_md(capital(note)), ""]
    for titled in study_tables(study, summaries, shared):
        lines += [f"## {titled.heading}", "", _md(titled.table.caption), "", *_markdown_table(titled.table), ""]
    lines += ["## References", "", "```bibtex", bibtex(references(study)).rstrip(), "```", ""]
    lines += [f"Made by Assay {version}.", ""]
    return "\n".join(lines)


def as_latex(
    study: StudyRecord, *, summaries: Mapping[str, NetworkTable], version: str, shared: Mapping[str, int] | None = None
) -> str:
    r"""The tables as LaTeX floats, each with caption and label; the document loads ``booktabs`` and ``array``."""
    lines = [
        f"% {' '.join((study.question or study.name).split())}",
        f"% Made by Assay {version}. The preamble needs \\usepackage{{booktabs}} and \\usepackage{{array}}.",
        *([f"% {LEAKY}"] if study.is_leaky else []),
        "",
    ]
    for titled in study_tables(study, summaries, shared):
        lines += [*_latex_table(titled, study.name), ""]
    lines += ["% References, for the .bib file:", *(f"% {line}" for line in bibtex(references(study)).splitlines()), ""]
    return "\n".join(lines)


def _on_test(study: StudyRecord) -> Table | None:
    return contrasts_table(study, split="test") if len(study.arms) > 1 else None


def _effects_on_test(study: StudyRecord) -> Table | None:
    return effects_table(study, split="test") if answer(study, split="test").effects else None


def _markdown_table(table: Table) -> list[str]:
    head = [column.title for column in table.columns]
    rule = ["---:" if column.is_number else "---" for column in table.columns]
    rows = [[cell.text for cell in cells] for cells in table.rows]
    return [_joined(head, _md), "| " + " | ".join(rule) + " |", *(_joined(row, _md) for row in rows)]


def _joined(cells: Iterable[str], written: Callable[[str], str]) -> str:
    return "| " + " | ".join(map(written, cells)) + " |"


def _md(text: str) -> str:
    """A text that Markdown takes as it is: no markup, no end of a cell or line."""
    for character in "\\`*_<>|":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _latex_table(titled: Titled, study: str) -> list[str]:
    table = titled.table
    longest = [max(len(cells[at].text) for cells in table.rows) for at in range(len(table.columns))]
    kinds = "".join(
        "r" if column.is_number else ">{\\raggedright\\arraybackslash}p{4.2cm}" if width > _LONG else "l"
        for column, width in zip(table.columns, longest, strict=True)
    )
    rows = [[cell.text for cell in cells] for cells in table.rows]
    label = "".join(c if c.isalnum() else "-" for c in f"{study}-{titled.label}")
    return [
        "\\begin{table}",
        "  \\centering",
        "  \\small" if len(table.columns) <= 7 else "  \\footnotesize\\setlength{\\tabcolsep}{3pt}",
        f"  \\caption{{{_tex(table.caption)}}}",
        f"  \\label{{tab:{label}}}",
        f"  \\begin{{tabular}}{{@{{}}{kinds}@{{}}}}",
        "    \\toprule",
        _tex_row(column.title for column in table.columns),
        "    \\midrule",
        *(_tex_row(row) for row in rows),
        "    \\bottomrule",
        "  \\end{tabular}",
        "\\end{table}",
    ]


def _tex_row(cells: Iterable[str]) -> str:
    # A line that begins with "[" would be read as an argument of the line break before it.
    texts = [_tex(cell) for cell in cells]
    return "    " + " & ".join(f"{{}}{cell}" if cell.startswith("[") else cell for cell in texts) + " \\\\"


_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "–": "--", "−": "$-$", "\N{NO-BREAK SPACE}": "~", '"': "''",
}  # fmt: skip


def _tex(text: str) -> str:
    """A text that LaTeX sets as it reads; differences and ends of intervals get a minus sign, not a hyphen."""
    escaped = "".join(_TEX.get(character, character) for character in " ".join(text.split()))
    return re.sub(r"(?<![\w.-])-(?=\d)", "$-$", escaped)
