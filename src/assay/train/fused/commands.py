"""Command lists: the kernel calls of a training step, recorded once and run without Python by one thread or a team.

A step of a small network takes one to three milliseconds and consists of 20 to 100 kernel calls. Python between them
took a tenth of that time, and handing each call to a thread pool 50 microseconds; so a step is data (addresses of
kernels and of their arguments) and a compiled loop runs it.

Each call is either shared by all threads, which take a share of its work each, or made by the first thread alone. A
barrier follows a call where the next one may need what it wrote. Results are the same bits for any number of threads,
because each kernel's are: see ``docs/development/engine-internals.md``.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiler import Kernel, function, load
from .pointers import add_atomic, call, load_atomic, longs, pause, yield_core

# The least work of a call that is shared, in vector operations: about a microsecond on one thread.
WORTH_SHARING = 4_000

# A team's control block: 64-bit words in one array, by which its threads synchronize. The first three are written by
# several threads, so each has a cache line (8 words) of its own: otherwise waiting on one would slow writes to another.
_GENERATION = 0  # counts runs; a worker waits for it to change
_ARRIVED = 8  # counts arrivals at barriers, over all runs; never reset, so that no thread can miss a reset
_ASLEEP = 16  # workers that have given up spinning and wait (or are about to) for the semaphore
_STOP = 24
# What the first thread writes before it starts a run, and workers read after they have seen the new generation.
_COUNT, _ADDRESSES, _ARGUMENTS, _SHARED, _BASE = 25, 26, 27, 28, 29
_CONTROL_WORDS = 32

_SPINS = 2_000  # of a waiting thread before it yields its core once: tens of microseconds
_YIELDS_BEFORE_SLEEP = 200  # some milliseconds, longer than the optimizer's step and Python between two runs take
_RUNS_TO_TIME = (
    2  # first runs of a list, by one thread: the second one, with kernels and caches warm, is the time to beat
)
_RUNS_ALONE = 30
_WEIGHT = 0.25  # of the latest run in the average that tells whether a team is slower than one thread
_MOST = 2.0  # that one run counts: a single one, which another program held up, is no reason


@function(has_result=False)
def _run(part: Any, parts: Any, control: Any) -> None:
    """Make the calls of the current command list in order, as thread ``part`` of ``parts``."""
    words = longs(control)
    addresses, arguments, shared = longs(words[_ADDRESSES]), longs(words[_ARGUMENTS]), longs(words[_SHARED])
    count = words[_COUNT]
    expected = words[_BASE]
    for index in range(count):
        if shared[index]:
            call(addresses[index], part, parts, arguments[index])
        elif part == 0:
            call(addresses[index], 0, 1, arguments[index])
        # A barrier, except between two calls that the first thread makes alone: those are in order anyway.
        if parts > 1 and (shared[index] or index + 1 == count or shared[index + 1]):
            expected += parts
            add_atomic(control + 8 * _ARRIVED, 1)
            spins = 0
            while load_atomic(control + 8 * _ARRIVED) < expected:
                pause()
                spins += 1
                if spins == _SPINS:
                    yield_core()
                    spins = 0


@function()
def _start(control: Any) -> Any:
    """Let the workers begin a run; return how many of them need the semaphore to wake up."""
    longs(control)[_BASE] = load_atomic(control + 8 * _ARRIVED)
    add_atomic(control + 8 * _GENERATION, 1)
    return load_atomic(control + 8 * _ASLEEP)


@function()
def _wait(seen: Any, yields_before_sleep: Any, control: Any) -> Any:
    """Spin until a generation after ``seen`` begins and return its number, or ``seen`` where it is time to sleep.

    No wake-up is lost: a worker counts itself as asleep before it looks at the generation for the last time, and the
    first thread raises the generation before it counts the sleepers. Where both happen at once the semaphore may hold
    one permit too many, which lets a later sleep end at once.
    """
    spins, yields = 0, 0
    while load_atomic(control + 8 * _GENERATION) == seen:
        pause()
        spins += 1
        if spins == _SPINS:
            yield_core()
            spins = 0
            yields += 1
            if yields >= yields_before_sleep:
                add_atomic(control + 8 * _ASLEEP, 1)
                if load_atomic(control + 8 * _GENERATION) == seen:
                    return seen
                add_atomic(control + 8 * _ASLEEP, -1)
    return seen + 1


@function(has_result=False)
def _awake(control: Any) -> None:
    add_atomic(control + 8 * _ASLEEP, -1)


_Table = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


class CommandList:
    """Kernel calls in order, for one batch size.

    Attributes:
        calls: Of each call the kernel, its arguments (kept so that their arrays live), the same as words, and whether
            it is shared by all threads.
        runs: How often it was run.
        seconds_single: What its latest run by one thread took.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Kernel, tuple[Any, ...], NDArray[np.int64], bool]] = []
        self.runs = 0
        self.seconds_single = 0.0
        self._table: _Table | None = None

    def add(self, work: float, kernel: Kernel, *arguments: Any) -> None:
        """Append a call.

        Args:
            work: About how many vector operations it takes; below ``WORTH_SHARING`` one thread does it all.
            kernel: What to call.
            arguments: All but ``part`` and ``parts``. Arrays are read and written where they lie, in every run.
        """
        self.calls.append((kernel, arguments, kernel.packed(*arguments), work >= WORTH_SHARING))
        self._table = None

    def rebind(self, index: int, *arguments: Any) -> None:
        """Give the call at an index other arguments. Their arrays must live until the next run has ended."""
        kernel, _, words, _ = self.calls[index]
        words[:] = kernel.packed(*arguments)

    def load(self) -> None:
        """Get the machine code of all kernels."""
        load(kernel for kernel, *_ in self.calls)

    @property
    def table(self) -> _Table:
        """What ``_run`` reads: int64 [calls] each of kernel addresses, argument addresses, and 1 for a shared call."""
        if self._table is None:
            self.load()
            self._table = (
                np.array([kernel.address for kernel, *_ in self.calls], np.int64),
                np.array([words.ctypes.data for _, _, words, _ in self.calls], np.int64),
                np.array([is_shared for *_, is_shared in self.calls], np.int64),
            )
        return self._table


class Team:
    """Threads that run command lists together; the calling thread is the first of them.

    Workers spin between runs, because waking a sleeping thread takes 50 microseconds, as long as many a kernel
    call; after some milliseconds without a run they sleep on a semaphore. Where other programs want the same cores, a
    barrier waits for whichever thread is not scheduled. So where lists lately took longer together than alone, they are
    run by one thread for the next 30 runs, with the same bits.

    Args:
        threads: How many, the calling one included.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._runs_alone = 0  # runs to come without the workers
        self._slowness = 0.5  # time together over time alone, a moving average
        self._control = np.zeros(_CONTROL_WORDS, np.int64)
        self._semaphore = threading.Semaphore(0)
        if threads > 1:
            for part in range(1, threads):
                # The target holds no reference to the team, which could otherwise never be finalized.
                arguments = (part, threads, self._control, self._semaphore)
                threading.Thread(target=_work, args=arguments, daemon=True).start()
            weakref.finalize(self, _shut_down, threads, self._control, self._semaphore)

    def run(self, commands: CommandList) -> None:
        """Make all calls of a list, and return when they are done."""
        control, table = self._control, commands.table
        control[_COUNT] = len(commands.calls)
        control[_ADDRESSES], control[_ARGUMENTS], control[_SHARED] = (column.ctypes.data for column in table)
        commands.runs += 1
        if self.threads == 1:
            _run(0, 1, control.ctypes.data)
            return
        started = time.perf_counter()
        if self._runs_alone or commands.runs <= _RUNS_TO_TIME:
            self._runs_alone = max(0, self._runs_alone - 1)
            _run(0, 1, control.ctypes.data)
            commands.seconds_single = time.perf_counter() - started
            return
        asleep = _start(control.ctypes.data)
        if asleep:
            self._semaphore.release(asleep)
        _run(0, self.threads, control.ctypes.data)
        slowness = (time.perf_counter() - started) / max(commands.seconds_single, 1e-9)
        self._slowness += _WEIGHT * (min(slowness, _MOST) - self._slowness)
        if self._slowness > 1:
            self._runs_alone, self._slowness = _RUNS_ALONE, 1.0  # if the run after these is slow, it is the same again


def _work(part: int, threads: int, control: NDArray[np.int64], semaphore: threading.Semaphore) -> None:
    """A worker thread: wait for a run, take part in it, and so on until the team is gone."""
    address, seen = control.ctypes.data, 0
    while True:
        generation = _wait(seen, _YIELDS_BEFORE_SLEEP, address)
        if generation == seen:
            semaphore.acquire()
            _awake(address)
            continue
        seen = generation
        if control[_STOP]:
            return
        _run(part, threads, address)


def _shut_down(threads: int, control: NDArray[np.int64], semaphore: threading.Semaphore) -> None:
    """End the workers of a team that nobody holds any more."""
    control[_STOP] = 1
    _start(control.ctypes.data)
    semaphore.release(threads - 1)
