"""A worker process: trains one run after another.

It reads tasks from its standard input and writes events to its standard output, one JSON object a line. When its
input ends, its parent is gone, and it ends too.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..disk import FULL, disk_full
from ..energy import Meter, energy_facts, energy_source
from ..errors import DiskFull, RunError
from ..store import ImageHits, KeptPredictions, collection_paused
from ..store.image_sets import Part
from ..system import peak_memory_bytes
from ..train.task import WEIGHTS as WEIGHTS
from ..train.task import Task
from .events import Advanced, Compiling, EpochDone, Event, Failed, Finished, NoSpace, Paused, Started, to_json

if TYPE_CHECKING:
    from ..data import TestData, TrainingData

CHECKPOINT = "checkpoint.safetensors"
_STEP_SECONDS = 0.5  # between two words on how far an epoch is


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    # Libraries may print: only events may reach the pipe.
    pipe = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, tasks), daemon=True).start()

    with collection_paused():  # importing makes many objects and no garbage
        import torch

        from ..train import engine as engine

    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    torch.set_num_threads(threads)
    with contextlib.suppress(BrokenPipeError):
        while True:
            work(Task.from_json(tasks.get()), pipe, threads=threads)


def _listen(stream: IO[str], tasks: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in stream:
        tasks.put(json.loads(line))
    os._exit(0)  # the parent is gone


def work(task: Task, pipe: IO[str], *, threads: int) -> None:
    """Train one task and write its events to the pipe."""
    import torch

    from ..data import open_published, open_training
    from ..train.checkpoint import save_weights
    from ..train.compiling import compiling_announced
    from ..train.device import environment
    from ..train.engine import train
    from ..train.networks import trained_summary
    from ..train.paths import usable_path

    def send(event: Event) -> None:
        pipe.write(json.dumps(to_json(event)) + "\n")

    last = 0.0

    def on_step(epoch: int, share: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > _STEP_SECONDS:
            last = now
            send(Advanced(task.id, epoch, share))

    counters = energy_source()
    meter = Meter(counters)
    try:
        data = open_training(task.images, task.labels, task.groups, task.validation)
        height, width, channels = data.images.shape[1:]
        summary = trained_summary(task.arm, (height, width, channels), task.num_classes)
        with compiling_announced(lambda names: send(Compiling(task.id, names))):
            path = usable_path(summary, task.arm.training, task.device, task.streams)
        machine = environment(threads=threads, path=path.name, precision=path.precision, device=task.device)
        if path.fallback:
            machine["fallback"] = path.fallback
        send(Started(task.id, machine))
        published = open_published(*task.published, task.data) if task.published else None
        trained = train(
            task,
            data,
            on_epoch=lambda record: send(EpochDone(task.id, record)),
            on_step=on_step,
            checkpoint=task.folder / CHECKPOINT,
            threads=threads,
            published=published,
            meter=meter,
        )
        if trained.is_paused:
            send(Paused(task.id, trained.seconds))
            return
        sha256, size = save_weights(task.folder / WEIGHTS, trained.weights, task.id)
        memory = peak_memory_bytes()
        part: Part = "test" if task.published else "training"
        hits = predictions = None
        if len(trained.hits):
            hits = ImageHits.of(part, trained.validation, trained.hits)
            source = data if published is None else published
            predictions = predictions_of(trained.log_probabilities, source, trained.validation)
        facts: dict[str, Any] = {"energy": energy_facts(counters, trained.joules, device=task.device)}
        if trained.left_out is not None:
            facts["left_out"] = trained.left_out
        kept = trained.kept_epoch
        send(Finished(task.id, trained.seconds, memory, WEIGHTS, sha256, size, kept, hits, predictions, facts))
    except RunError as error:
        send(Failed(task.id, error.state, error.reason, error.advice))
    except DiskFull as error:
        send(NoSpace(task.id, str(error)))
    except BrokenPipeError:
        raise
    except OSError as error:  # Numba, which augmentation uses, keeps files
        is_full = error.errno in FULL
        send(NoSpace(task.id, str(disk_full(task.folder, error.errno))) if is_full else _unexpected(task, error))
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, torch.AcceleratorError):
            raise  # a CUDA device's error stays with the process, and would fail every run after this one
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in _NO_MEMORY):
            send(_unexpected(task, error))
        else:
            send(Failed(task.id, "out of memory", "the machine had no memory left for this run", MEMORY_ADVICE))
    except Exception as error:  # a run's failure is a result, whatever it is; the study goes on
        send(_unexpected(task, error))
    finally:
        meter.stop()


def predictions_of(
    log_probabilities: NDArray[np.float32], data: TrainingData | TestData, indices: NDArray[np.int64]
) -> KeptPredictions:
    """What is kept of a run: its predictions of these images of a data set, with their labels and groups."""
    groups = getattr(data, "groups", None)
    labels = np.asarray(data.labels[indices])
    return KeptPredictions.of(log_probabilities, labels, None if groups is None else np.asarray(groups[indices]))


_NO_MEMORY = ("allocate memory", "out of memory")  # torch's words, for the processor's memory and for a device's
MEMORY_ADVICE = "train fewer runs at a time (--workers 1), or make the network or the batch smaller"


def _unexpected(task: Task, error: Exception) -> Failed:
    import traceback

    traceback.print_exc()  # standard error goes to the worker's log
    last = " ".join(str(error).split())[:300]
    return Failed(task.id, "failed", f"{type(error).__name__}: {last}", "the traceback is in the store's logs folder")


if __name__ == "__main__":
    main()
