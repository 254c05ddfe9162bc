"""Verdicts on scores that Assay did not train."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..analysis import Answer, Comparison, answer, compare_study
from ..store.records import StudyRecord

if TYPE_CHECKING:
    import pandas as pd

ReportForm = Literal["html", "pdf", "markdown", "latex"]


@dataclass(frozen=True)
class Judgement:
    """Verdicts on results from elsewhere, as :func:`assay.judge` returns them. Print it to read them.

    Args:
        record: The scores as the record of a study.
        notes: What was not used of the source, and why, as sentences.
    """

    record: StudyRecord
    notes: tuple[str, ...] = ()

    @property
    def answer(self) -> Answer:
        """The headline, with everything that must be read with it."""
        return answer(self.record)

    @property
    def headline(self) -> str:
        """The answer as one sentence, without its full stop."""
        return self.answer.headline

    def compare(self, *names: str) -> Comparison:
        """Return the verdicts on arms and factors, as :meth:`assay.Result.compare` does.

        Args:
            names: Nothing: every arm against the baseline, and the effects of crossed factors. One factor: its effects.
                Two arms: the second against the first.

        Raises:
            SpecError: A name is no factor or arm, or there is one arm only.
        """
        return compare_study(self.record, *names)

    def frame(self) -> pd.DataFrame:
        """Return one row for each verdict, as ``Comparison.frame`` does."""
        return self.compare().frame()

    def report(self, path: str | Path | None = None, *, form: ReportForm = "html") -> Path:
        """Write the report and return its path.

        Args:
            path: The file to write. If ``None``: the scores' name with the form's suffix, in the current folder.
            form: ``"html"``: one file that needs nothing else. ``"pdf"``: that file, printed by Chromium.
                ``"markdown"`` or ``"latex"``: the tables.

        Raises:
            SpecError: This machine lacks what the form needs.
            DiskFull: There is no space left.
            DataError: The file cannot be written.
        """
        from ..report import SUFFIXES, as_latex, as_markdown, write_pdf, write_report

        target = Path(path) if path is not None else Path(f"{self.record.name}{SUFFIXES[form]}")
        if form in ("markdown", "latex"):
            text = (as_markdown if form == "markdown" else as_latex)(
                self.record, summaries={}, version=version("assay")
            )
            return write_report(target, text)
        return (write_pdf if form == "pdf" else write_report)(target, self._html())

    def _html(self) -> str:
        from ..report import render
        from ..spec import study_toml

        toml = "" if self.record.source else study_toml(self.record.design)
        return render(self.record, summaries={}, gallery=None, version=version("assay"), toml=toml)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        result = self.answer
        return {
            "source": self.record.source or self.record.name,
            "data": str(self.record.data.get("title") or ""),
            "tone": result.tone,
            "headline": result.headline,
            "answer_notes": list(result.notes),
            "source_notes": list(self.notes),
            **(self.compare().as_dict() if len(self.record.arms) > 1 else {"contrasts": []}),
        }

    def __str__(self) -> str:
        return "\n".join([f"{self.headline}.", *self.answer.notes, *self.notes])

    def _repr_html_(self) -> str:
        from ..report import summary_html

        return summary_html(self.record)
