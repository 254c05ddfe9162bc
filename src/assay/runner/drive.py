"""Takes a plan to its end: hands runs to an executor, writes what comes back."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..errors import DiskFull, StoreMoved
from ..store import StoreReader, StoreWriter
from .bases import ready
from .decisions import after_loss
from .events import TRANSIENT, EpochDone, Event, Failed, Finished, Lost, NoSpace, Paused, Started
from .executor import Executor
from .lost_weights import LostWeights
from .outlook import Outlook
from .plan import Plan, due
from .speed import epoch_costs
from .worker import CHECKPOINT, MEMORY_ADVICE

_TEACHER = "see why in assay runs; when the study is run again, both are trained"


class Progress(Protocol):
    """Follows a study while it runs. Implement it to replace the live display of :func:`assay.run`."""

    def begin(self, outlook: Outlook) -> None:
        """Called once, before anything is trained."""

    def follow(self, event: Event) -> None:
        """Called for each event of a run: started, epoch done, finished, failed and others."""

    def tick(self) -> None:
        """Called about four times a second."""

    def end(self) -> None:
        """Called once, when nothing is left to train or the study was stopped."""


def drive(
    plan: Plan,
    writer: StoreWriter,
    reader: StoreReader,
    make_executor: Callable[[int, int], Executor],
    progress: Progress,
    *,
    num_workers: int,
    machine_cores: int | None = None,
    lost_weights: LostWeights | None = None,
) -> None:
    """Run what is missing of a plan. Only this process writes the store.

    Args:
        plan: What to run.
        writer: Of its store.
        reader: Of the same store.
        make_executor: From a number of workers, and of threads in each, to what trains the runs.
        progress: What follows.
        num_workers: Cores to use.
        machine_cores: The most of them that one run may take, where they are several machines'.
        lost_weights: Finds finished runs that have to be trained anew; none is looked for if ``None``.

    Raises:
        ClusterGone: The cluster that trained it does not answer any more. Finished epochs are kept.
        DiskFull: A worker or the store could not write. Finished runs are kept.
        StoreMoved: The store was moved or deleted. What had finished is kept where it is now.
        KeyboardInterrupt: The user stopped it. Finished epochs are kept.
    """
    study = plan.study
    writer.requeue_interrupted()
    plan.register(writer)
    states = reader.states(task.id for task in plan.tasks)
    names: dict[str, str] = {}
    for arm, task in plan.members:
        names.setdefault(task.id, f"{arm}, seed {task.seed}" + (f", fold {task.fold}" if task.fold else ""))
    if lost_weights is not None:
        finished = {run for run, state in states.items() if state == "finished"} - plan.settled
        lost_weights.requeue(study.name, finished, names, reader, writer)
        states = reader.states(task.id for task in plan.tasks)
    waiting = {task.id: task for task in due(plan.tasks, states) if task.id not in plan.settled}
    for task in plan.tasks:
        if states.get(task.id) in ("finished", "diverged"):  # the process that should have done this was killed
            (task.folder / CHECKPOINT).unlink(missing_ok=True)
    progress.begin(
        Outlook(
            study=study.name,
            num_runs=len(plan.tasks),
            num_done=len(plan.tasks) - len(waiting),
            labels=names,
            epochs={task.id: task.pause_after or task.arm.training.planned_epochs for task in plan.tasks},
            num_workers=num_workers,
            arms={task.id: arm for arm, task in reversed(plan.members)},
            tasks={task.id: task for task in plan.tasks},
            costs=epoch_costs(plan),
            phase=plan.phase,
            ended=frozenset(task.id for task in plan.tasks if task.id not in waiting),
        )
    )
    losses: collections.Counter[str] = collections.Counter()
    machines: collections.Counter[str] = collections.Counter()
    # Runs side by side beat threads inside a run; those are for cores that would otherwise idle.
    threads = max(1, min(num_workers, machine_cores or num_workers) // plan.width(num_workers))
    executor = make_executor(min(num_workers // threads, len(waiting)), threads) if waiting else None
    try:
        if executor is None:
            return
        if machine_cores is None:  # other machines' workers look into caches of their own
            ready(list(waiting.values()), threads=num_workers, note=getattr(progress, "note", None))
        held = {task.id: task for task in waiting.values() if task.teacher_run in waiting}
        finished = {run for run, state in states.items() if state == "finished"}

        def release() -> None:
            """Hand out the runs whose teachers have finished; those whose teachers never will have failed."""
            for task in list(held.values()):
                if task.teacher_run in waiting:
                    continue
                del held[task.id]
                if task.teacher_run in finished:
                    executor.submit(task)
                    continue
                failed = Failed(task.id, "failed", f"its teacher has not finished: {names[task.teacher_run]}", _TEACHER)
                _record(failed, study.name, writer, task.folder)
                progress.follow(failed)
                del waiting[task.id]

        for task in list(waiting.values()):
            if task.id not in held and task.teacher_run and task.teacher_run not in finished:
                held[task.id] = task
            elif task.id not in held:
                executor.submit(task)
        release()
        while waiting:
            events = executor.poll(0.25)
            writer.check_place()
            for event in events:
                shown: Event = event
                if isinstance(event, Lost):
                    (machines if event.is_machine else losses)[event.run] += 1
                    if after_loss(losses[event.run], machines[event.run]) == "retry":
                        writer.put_event(study.name, "lost", {"run": event.run, "reason": event.reason})
                        executor.submit(waiting[event.run])
                    else:
                        shown = _given_up(event, losses[event.run] + machines[event.run])
                if not isinstance(shown, TRANSIENT):
                    _record(shown, study.name, writer, waiting[event.run].folder)
                progress.follow(shown)
                if lost_weights is not None and isinstance(shown, Finished):
                    lost_weights.follow(shown, names[shown.run])
                if isinstance(shown, Finished | Paused | Failed):
                    executor.recorded(waiting.pop(event.run), is_finished=isinstance(shown, Finished))
                    if isinstance(shown, Finished):
                        finished.add(event.run)
                    release()
            progress.tick()
    except KeyboardInterrupt:
        with contextlib.suppress(StoreMoved):
            writer.put_event(study.name, "interrupted", {"left": len(waiting)})
        raise
    finally:
        if executor is not None:
            executor.close()
        with contextlib.suppress(DiskFull, StoreMoved):  # the error that brought us here says so already
            writer.requeue_interrupted()
        progress.end()


def _record(event: Event, study: str, writer: StoreWriter, folder: Path) -> None:
    match event:
        case Started():
            writer.put_started(study, event.run, event.environment)
        case EpochDone():
            writer.put_epochs(event.run, [event.record])
        case Finished():
            path = (folder / event.weights_file).relative_to(writer.folder.absolute())
            writer.put_finished(
                study,
                event.run,
                seconds=event.seconds,
                peak_memory_bytes=event.peak_memory_bytes,
                weights=(path.as_posix(), event.weights_sha256, event.weights_bytes),
                kept_epoch=event.kept_epoch,
                hits=event.hits,
                predictions=event.predictions,
                facts=event.facts,
            )
            (folder / CHECKPOINT).unlink(missing_ok=True)  # not before the store knows of the weights
        case Paused():
            writer.put_paused(event.run, event.seconds)
        case Failed():
            writer.put_failed(study, event.run, state=event.state, reason=event.reason, advice=event.advice)
        case NoSpace():
            raise DiskFull(event.reason)
        case Lost():
            pass


def _given_up(event: Lost, num_losses: int) -> Failed:
    reason = f"{event.reason}, " + ("twice" if num_losses == 2 else f"after {num_losses} attempts")
    if event.is_memory:
        return Failed(event.run, "out of memory", reason, MEMORY_ADVICE)
    return Failed(event.run, "failed", reason, "the worker's last words are in the store's logs folder")
