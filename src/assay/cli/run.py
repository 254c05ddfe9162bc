"""assay run"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .completion import study_files
from .main import EXIT_DONE, EXIT_FAILED_RUNS
from .options import json_option, print_json, store_option

if TYPE_CHECKING:
    from ..spec import Placement
    from ..tracking import TrackerName


@contextlib.contextmanager
def _waiting(text: str) -> Iterator[None]:
    """Show in a terminal what takes some seconds, as long as it takes them."""
    if not text or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


@click.command("run")
@click.argument("study", shell_complete=study_files)
@store_option
@click.option(
    "--workers", type=click.IntRange(min=1), help="Runs at a time.  [default: as many as cores; 1 on a CUDA device]"
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    help="Where to train; auto is a CUDA device if there is one.  [default: the file's, or cpu]",
)
@click.option(
    "--on",
    default="local",
    metavar="local|ray|ray://HOST:PORT",
    help="This machine, the running Ray cluster that it belongs to, or another one by its client server.  "
    "[default: local]",
)
@click.option(
    "--artifacts",
    metavar="URL",
    help="A folder that all machines of the cluster reach (s3://..., file:///...), for checkpoints and weights.  "
    "[default: they are sent as messages]",
)
@click.option("--seeds", type=click.IntRange(min=1), help="Seeds per arm, instead of the file's count.")
@click.option("--report/--no-report", default=True, help="Write the report at the end.")
@click.option(
    "--track",
    type=click.Choice(["mlflow", "tensorboard", "wandb"]),
    multiple=True,
    help="Log runs to this tracker while they train. May be given several times.",
)
@json_option
def command(
    study: str,
    store: Path | None,
    workers: int | None,
    device: Placement | None,
    on: str,
    artifacts: str | None,
    seeds: int | None,
    report: bool,
    track: tuple[TrackerName, ...],
    as_json: bool,
) -> int:
    """Run STUDY, or resume it. STUDY is a file or the name of a shipped study.

    Finished runs are not repeated. Interrupted runs resume after their last finished epoch. A search trains its trials,
    then its finalists with fresh seeds, and writes the best one as a study file. With --json, standard output gets one
    object at the end; standard error gets one object a line as things happen.
    """
    from ..api import load, remarks, run
    from ..runner.progress import JsonLines, Lines, Live
    from .status import as_values, print_answer

    loaded = load(study)
    if seeds is not None:
        loaded = loaded.with_seeds(seeds)
    for remark in remarks(loaded, store=store):
        click.echo(f"note: {remark}", err=True)
    progress = JsonLines(sys.stderr) if as_json else Live() if sys.stderr.isatty() else Lines()
    result = run(
        loaded, store=store, workers=workers, device=device, on=on, artifacts=artifacts, progress=progress, track=track
    )
    record = result.shown
    with _waiting("Writing the report: verdicts, curves, pictures of the best arm" if report and not as_json else ""):
        path = result.report() if report else None
    if as_json:
        best = {"best": str(result.best_file)} if record.search is not None else {}
        print_json({**as_values(record), **best, "report": None if path is None else str(path)})
    else:
        print_answer(record)
        if path is not None:
            click.echo(f"Report: {path.absolute().as_uri()}")
        if record.search is not None and result.best_file.exists():
            click.echo(f"Best arm as a study file: {result.best_file}")
    runs = (*record.runs, *(record.search.runs if record.search else ()))
    return EXIT_FAILED_RUNS if any(run.is_failed for run in runs) else EXIT_DONE
