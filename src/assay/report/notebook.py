"""A study as a notebook: every cell calls the public API, so that it can be run again and taken further."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .. import disk
from ..errors import Problem, SpecError
from ..store.records import StudyRecord

_SECONDS = 600


def notebook_cells(study: StudyRecord, store: str) -> list[tuple[str, str]]:
    """The notebook's cells, in order: ``("markdown" or "code", text)``.

    Args:
        study: Its record.
        store: The store's folder as the notebook will name it.
    """
    has_arms = len(study.arms) > 1
    question = " ".join((study.question or study.name).split())
    cells = [
        (
            "markdown",
            f"# {question}\n\nEvery cell calls Assay's public functions: run them again, change them, add some.",
        ),
        ("code", f"import assay\n\nresult = assay.result({json.dumps(study.name)}, store={json.dumps(store)})\nresult"),
    ]
    if has_arms:
        cells += [("markdown", "## Verdicts"), ("code", "result.compare()")]
    cells += [
        ("markdown", "## Runs"),
        ("code", 'runs = result.frame()\nruns.groupby("arm", sort=False)["validation_accuracy"].describe()'),
        ("code", "runs"),
        ("markdown", "## Figures"),
        (
            "code",
            'import plotly.io\n\nplotly.io.renderers.default = "plotly_mimetype+notebook_connected"\n\n'
            "from assay.report import figures\n\nfigures.score_strip(result.record)",
        ),
    ]
    if has_arms:
        cells.append(("code", "figures.difference_strip(result.record)"))
    cells += [
        ("code", 'figures.learning_curves(result.record, "accuracy", "validation")'),
        ("code", 'figures.learning_curves(result.record, "loss", "validation")'),
        ("code", "figures.accuracy_against_time(result.record)"),
        ("markdown", "## Diagnoses"),
        ("code", "result.diagnose()"),
        ("markdown", "## References"),
        ("code", "from assay.report import bibtex, references\n\nprint(bibtex(references(result.record)))"),
    ]
    return cells


def write_notebook(path: str | Path, study: StudyRecord, store: Path) -> Path:
    """Write the notebook with its outputs, whole or not at all.

    Raises:
        SpecError: The packages that run notebooks are not installed, or a cell fails.
        DiskFull: There is no room for it.
    """
    try:
        import nbclient
        import nbformat
        from jupyter_client.kernelspec import NoSuchKernel
    except ImportError:
        raise _missing() from None
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat_v4: Any = nbformat.v4
    cells = [
        nbformat_v4.new_markdown_cell(text, id=f"cell-{number}")
        if kind == "markdown"
        else nbformat_v4.new_code_cell(text, id=f"cell-{number}")
        for number, (kind, text) in enumerate(notebook_cells(study, os.path.relpath(store.absolute(), path.parent)))
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat_v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    try:
        nbclient.NotebookClient(
            notebook,
            timeout=_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            extra_arguments=["--log-level=ERROR"],
        ).execute()
    except NoSuchKernel:
        raise _missing() from None
    except nbclient.exceptions.CellExecutionError as error:
        what = f"a cell of the notebook failed: {error.ename}: {error.evalue}"
        raise SpecError(Problem(what, "see the HTML report, which needs no kernel")) from None
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    disk.write(path, text.encode())
    return path


def _missing() -> SpecError:
    return SpecError(
        Problem(
            "a notebook needs nbformat, nbclient and ipykernel, which are not installed",
            'run pip install "assay[notebook]"',
        )
    )
