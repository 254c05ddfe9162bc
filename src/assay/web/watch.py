"""One look at the store for all pages: what changed is read once, however many tabs are open."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from ..errors import StoreError
from ..store import Followed, StoreFollower
from .limits import MAX_STREAMS, Refused

_T = TypeVar("_T")
_INTERVAL = 0.4
_HEARTBEAT = 15.0
_FORGET_SECONDS = 300.0

log = logging.getLogger("assay.web")


class Watch:
    """Follows a store in a thread of its own, while somebody looks."""

    def __init__(self, store: Path) -> None:
        self._follower = StoreFollower(store)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._changed = asyncio.Condition()
        self._streams = 0
        self._asked: dict[str, float] = {}
        self._has_ended = False
        self._state = (0, "")  # the store's version, and what is the matter with it

    async def ask(self, question: Callable[[StoreFollower], _T]) -> _T:
        """An answer from the store as it stands now.

        Raises:
            StoreError: There is no store, or no such study.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._asked_now, question)

    async def study(self, name: str) -> Followed:
        """A study as it stands now.

        Raises:
            StoreError: There is no such study.
        """
        found = await self.ask(lambda follower: follower.study(name))
        self._asked[name] = time.monotonic()
        return found

    def read_ahead(self, name: str) -> None:
        """Begin to read a study that is about to be asked for."""
        self._asked.setdefault(name, time.monotonic())
        self._thread.submit(self._read_quietly, name)

    def _read_quietly(self, name: str) -> None:
        with contextlib.suppress(StoreError):
            self._asked_now(lambda follower: follower.study(name))

    def _asked_now(self, question: Callable[[StoreFollower], _T]) -> _T:
        try:
            self._follower.poll()
            return question(self._follower)
        except sqlite3.Error as error:
            self._follower.close()
            raise StoreError(f"the store cannot be read now ({error})") from None

    async def run(self) -> None:
        """Look again and again, as long as any page listens; ends when cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL)
            if self._streams:
                await self._look()

    async def _look(self) -> None:
        try:
            state = (await self.ask(lambda follower: follower.version), "")
        except StoreError as error:
            state = (self._state[0], str(error))
        for name, asked in list(self._asked.items()):
            if time.monotonic() - asked > _FORGET_SECONDS:
                del self._asked[name]
                await self._in_thread(lambda name=name: self._follower.forget(name))  # type: ignore[misc]
        if state != self._state:
            async with self._changed:
                self._state = state
                self._changed.notify_all()

    async def _in_thread(self, deed: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, deed)

    async def events(self) -> AsyncGenerator[str, None]:
        """Server-sent events: the store's version whenever it has changed, or what is the matter with it.

        Raises:
            Refused: Too many pages listen already.
        """
        if self._streams >= MAX_STREAMS:
            raise Refused(503, f"{self._streams} pages listen already")
        self._streams += 1
        try:
            await self._look()
            told: tuple[int, str] | None = None
            yield "retry: 1500\n\n"
            while not self._has_ended:
                if self._state != told:
                    told = self._state
                    yield f"data: {json.dumps({'version': told[0], 'trouble': told[1]})}\n\n"
                try:
                    async with asyncio.timeout(_HEARTBEAT), self._changed:
                        await self._changed.wait_for(lambda: self._has_ended or self._state != told)  # noqa: B023
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self._streams -= 1

    async def end(self) -> None:
        """Let every page's stream of events end, so that the server can."""
        self._has_ended = True
        async with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        self._thread.submit(self._follower.close)
        self._thread.shutdown()
