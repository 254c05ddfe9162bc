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
    """The verdicts on one data set's scores: what a study's ``Result`` says of its own.

    Args:
        record: The scores as a study's record.
        notes: What was not used of their source, and why: sentences with full stops.
    """

    record: StudyRecord
    notes: tuple[str, ...] = ()

    @property
    def answer(self) -> Answer:
        """The headline with everything that must be read with it."""
        return answer(self.record)

    @property
    def headline(self) -> str:
        """The answer as one sentence, without its full stop."""
        return self.answer.headline

    def compare(self, *names: str) -> Comparison:
        """Verdicts on arms and factors, as ``Result.compare`` gives them.

        Raises:
            SpecError: A name is no factor or arm, or there is one arm only.
        """
        return compare_study(self.record, *names)

    def frame(self) -> pd.DataFrame:
        """One row a verdict: ``Comparison.frame``."""
        return self.compare().frame()

    def report(self, path: str | Path | None = None, *, form: ReportForm = "html") -> Path:
        """Write the report and return its path.

        Args:
            path: Where; the scores' name with the form's suffix in the current folder if ``None``.
            form: ``html``, one file that needs nothing else; ``pdf``, that file as Chromium prints it; ``markdown`` or
                ``latex``, the tables.

        Raises:
            SpecError: What writes this form is not on this machine.
            DiskFull, DataError: The file cannot be written.
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
        """Everything as plain values, for JSON."""
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
