"""A step as a list of kernel calls, played without Python between them by one thread or by several together.

Every call is shared by all threads, or done by the first alone, and threads meet where one call needs what another
wrote. Results are the same bits for any number of them, because each kernel's are.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any

import numpy as np
from numba import cfunc, types
from numpy.typing import NDArray

from .compiler import Kernel
from .pointers import add_atomic, call, give_way, load_atomic, longs, pause

# Vector operations, of which a processor does a few thousand million a second: about a microsecond's worth.
WORTH_SHARING = 4_000

# The words of a board, by which threads speak; what several of them wait for has a cache line of its own.
_TURN, _ARRIVED, _ASLEEP, _STOP, _COUNT, _ADDRESSES, _ARGUMENTS, _SHARED, _BASE = 0, 8, 16, 24, 25, 26, 27, 28, 29
_BOARD_SIZE = 32
_SPINS = 2_000  # before a waiting thread gives way to others
_TRIALS = 2  # plays of a tape by one thread before it is shared, so that its time alone is known
_PLAYS_ALONE = 30
_PATIENCE = 200  # times of giving way before a helper goes to sleep: some milliseconds

_long = types.int64


@cfunc(types.void(_long, _long, _long), cache=True, nogil=True, error_model="numpy")
def _play(part: Any, parts: Any, board: Any) -> None:
    """Make every call of the tape in turn."""
    said = longs(board)
    addresses, arguments, shared = longs(said[_ADDRESSES]), longs(said[_ARGUMENTS]), longs(said[_SHARED])
    count = said[_COUNT]
    expected = said[_BASE]
    for index in range(count):
        if shared[index]:
            call(addresses[index], part, parts, arguments[index])
        elif part == 0:
            call(addresses[index], 0, 1, arguments[index])
        if parts > 1 and (shared[index] or index + 1 == count or shared[index + 1]):
            expected += parts
            add_atomic(board + 8 * _ARRIVED, 1)
            spins = 0
            while load_atomic(board + 8 * _ARRIVED) < expected:
                pause()
                spins += 1
                if spins == _SPINS:
                    give_way()
                    spins = 0


@cfunc(_long(_long), cache=True, nogil=True, error_model="numpy")
def _start(board: Any) -> Any:
    """Tell the helpers to begin; how many of them are asleep."""
    longs(board)[_BASE] = load_atomic(board + 8 * _ARRIVED)
    add_atomic(board + 8 * _TURN, 1)
    return load_atomic(board + 8 * _ASLEEP)


@cfunc(_long(_long, _long, _long), cache=True, nogil=True, error_model="numpy")
def _await(seen: Any, stop_after: Any, board: Any) -> Any:
    """Wait for a turn after the one that was seen last; its number, or the same number once patience is at an end."""
    spins, naps = 0, 0
    while load_atomic(board + 8 * _TURN) == seen:
        pause()
        spins += 1
        if spins == _SPINS:
            give_way()
            spins = 0
            naps += 1
            if naps >= stop_after:
                add_atomic(board + 8 * _ASLEEP, 1)
                if load_atomic(board + 8 * _TURN) == seen:
                    return seen
                add_atomic(board + 8 * _ASLEEP, -1)
    return seen + 1


@cfunc(types.void(_long), cache=True, nogil=True, error_model="numpy")
def _wake(board: Any) -> None:
    add_atomic(board + 8 * _ASLEEP, -1)


class Tape:
    """Kernel calls in order. Calling the tape adds one."""

    def __init__(self) -> None:
        self.calls: list[tuple[Kernel, tuple[Any, ...], NDArray[np.int64], bool]] = []

    def __call__(self, work: float, kernel: Kernel, *arguments: Any) -> None:
        """Add a call.

        Args:
            work: About how many vector operations it takes; little work is left to one thread.
            kernel: What to call.
            arguments: All but which share to do, and of how many. Arrays are read and written where they lie.
        """
        self.calls.append((kernel, arguments, kernel.packed(*arguments), work >= WORTH_SHARING))
        self._made = None

    def rebind(self, index: int, *arguments: Any) -> None:
        """Give the call at an index other arguments."""
        kernel, _, words, _ = self.calls[index]
        words[:] = kernel.packed(*arguments)

    @property
    def columns(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Addresses of the kernels, addresses of their arguments, and whether they are shared."""
        if self._made is None:
            self._made = (
                np.array([kernel.address for kernel, *_ in self.calls], np.int64),
                np.array([words.ctypes.data for _, _, words, _ in self.calls], np.int64),
                np.array([is_shared for *_, is_shared in self.calls], np.int64),
            )
        return self._made

    _made: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None = None
    plays = 0
    seconds_alone = 0.0  # of the latest play by one thread


class Team:
    """Threads that play tapes together. They wait busily between tapes for some milliseconds, then sleep.

    Where other programs want the same cores, threads that meet so often wait for each other most of the time. So a
    tape that took longer together than alone is played alone for a while; the results are the same bits.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._alone = 0  # plays to come without the helpers
        self._board = np.zeros(_BOARD_SIZE, np.int64)
        self._bell = threading.Semaphore(0)
        if threads > 1:
            for part in range(1, threads):
                helper = threading.Thread(target=_help, args=(part, threads, self._board, self._bell), daemon=True)
                helper.start()
            weakref.finalize(self, _dismiss, threads, self._board, self._bell)

    def play(self, tape: Tape) -> None:
        """Make all calls of a tape."""
        board, columns = self._board, tape.columns
        board[_COUNT] = len(tape.calls)
        board[_ADDRESSES], board[_ARGUMENTS], board[_SHARED] = (column.ctypes.data for column in columns)
        tape.plays += 1
        if self.threads == 1:
            _play_call(0, 1, board.ctypes.data)
            return
        started = time.perf_counter()
        if self._alone or tape.plays <= _TRIALS:
            self._alone = max(0, self._alone - 1)
            _play_call(0, 1, board.ctypes.data)
            tape.seconds_alone = time.perf_counter() - started
            return
        asleep = _start_call(board.ctypes.data)
        if asleep:
            self._bell.release(asleep)
        _play_call(0, self.threads, board.ctypes.data)
        if time.perf_counter() - started > tape.seconds_alone:
            self._alone = _PLAYS_ALONE


_play_call, _start_call, _await_call, _wake_call = (made.ctypes for made in (_play, _start, _await, _wake))


def _help(part: int, threads: int, board: NDArray[np.int64], bell: threading.Semaphore) -> None:
    address, seen = board.ctypes.data, 0
    while True:
        turn = _await_call(seen, _PATIENCE, address)
        if turn == seen:
            bell.acquire()
            _wake_call(address)
            continue
        seen = turn
        if board[_STOP]:
            return
        _play_call(part, threads, address)


def _dismiss(threads: int, board: NDArray[np.int64], bell: threading.Semaphore) -> None:
    board[_STOP] = 1
    _start_call(board.ctypes.data)
    bell.release(threads - 1)
