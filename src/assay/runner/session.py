"""Takes plans to their end, one after another, on the workers of a site."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Sequence

from ..errors import Interrupted
from ..store import StoreReader, StoreWriter
from ..system import num_cores
from .callbacks import Callback, Followed
from .drive import Progress, drive
from .evaluate import evaluate_finished
from .lost_weights import LostWeights
from .plan import Plan, StudyPlan
from .pool import Pool
from .site import Site


def default_progress() -> Progress:
    """What follows a study unless the caller says otherwise: a live display in a notebook and in a terminal."""
    from .notebook import Notebook, is_notebook
    from .progress import Live, Silent

    if is_notebook():
        return Notebook()
    return Live() if sys.stderr.isatty() else Silent()


def drive_plans(
    plans: Iterable[Plan],
    writer: StoreWriter,
    reader: StoreReader,
    site: Site,
    *,
    workers: int | None,
    progress: Progress | None,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Train what a study, a search or a retraining asks for, plan by plan.

    Raises:
        DiskFull: The disk filled up. What had finished is kept.
        ClusterGone: The cluster does not answer any more. Finished epochs are kept.
        Interrupted: Ctrl-C. Finished epochs are kept.
    """
    progress = shown(progress)
    if callbacks:
        progress = Followed(progress, callbacks)
    note = notes_of(progress)
    lost_weights = LostWeights(writer.folder, note)
    pool: Pool | None = None
    try:
        for plan in plans:
            num_workers = workers or site.num_workers(plan)
            make = functools.partial(site.executor, plan, reader, note)
            if plan.keeps_workers:
                pool = pool or Pool(num_workers)
                make = functools.partial(pool.lend, make)
            drive(
                plan, writer, reader, make, progress,
                num_workers=num_workers, machine_cores=site.machine_cores, lost_weights=lost_weights,
            )  # fmt: skip
            lost_weights.conclude()
            if isinstance(plan, StudyPlan):
                evaluate_finished(plan, writer, reader, note, threads=num_cores())
    except KeyboardInterrupt:
        raise Interrupted("stopped; every finished epoch is kept, and the same command goes on from there") from None
    finally:
        if pool is not None:
            pool.close()


def shown(progress: Progress | None) -> Progress:
    """What follows a study: what was asked for, or a live display in a notebook or a terminal."""
    return default_progress() if progress is None else progress


def notes_of(progress: Progress) -> Callable[[str], None]:
    """What takes the sentences for whoever follows; nothing does where the display has no room for them."""
    note: Callable[[str], None] = getattr(progress, "note", lambda sentence: None)
    return note
