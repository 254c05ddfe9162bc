"""Follows the store for all pages: each change is read once, however many tabs are open."""

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
    """Follows a store in its own thread while any page listens."""

    def __init__(self, store: Path) -> None:
        self._follower = StoreFollower(store)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._changed = asyncio.Condition()
        self._streams = 0
        self._last_request: dict[str, float] = {}
        self._has_ended = False
        self._state = (0, "")  # the store's version, and its problem if it cannot be read

    async def ask(self, question: Callable[[StoreFollower], _T]) -> _T:
        """A query of the store in its present state.

        Raises:
            NoStore: There is no store.
            NoSuchStudy: There is no such study.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._query, question)

    async def study(self, name: str) -> Followed:
        """A study in its present state.

        Raises:
            NoSuchStudy: There is no such study.
        """
        followed = await self.ask(lambda follower: follower.study(name))
        self._last_request[name] = time.monotonic()
        return followed

    def read_ahead(self, name: str) -> None:
        """Begins to read a study that is about to be requested."""
        self._last_request.setdefault(name, time.monotonic())
        self._thread.submit(self._read_quietly, name)

    def _read_quietly(self, name: str) -> None:
        with contextlib.suppress(StoreError):
            self._query(lambda follower: follower.study(name))

    def _query(self, question: Callable[[StoreFollower], _T]) -> _T:
        try:
            self._follower.poll()
            return question(self._follower)
        except sqlite3.Error as error:
            self._follower.close()
            raise StoreError(f"the store cannot be read now ({error})") from None

    async def run(self) -> None:
        """Polls the store as long as any page listens; ends when cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL)
            if self._streams:
                await self._look()

    async def _look(self) -> None:
        try:
            state = (await self.ask(lambda follower: follower.version), "")
        except StoreError as error:
            state = (self._state[0], str(error))
        for name, requested_at in list(self._last_request.items()):
            if time.monotonic() - requested_at > _FORGET_SECONDS:
                del self._last_request[name]
                await self._in_thread(lambda name=name: self._follower.forget(name))  # type: ignore[misc]
        if state != self._state:
            async with self._changed:
                self._state = state
                self._changed.notify_all()

    async def _in_thread(self, action: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, action)

    async def events(self) -> AsyncGenerator[str, None]:
        """Server-sent events: the store's version whenever it has changed, or its problem.

        Raises:
            Refused: Too many pages listen already.
        """
        if self._streams >= MAX_STREAMS:
            raise Refused(503, f"{self._streams} pages listen already")
        self._streams += 1
        try:
            await self._look()
            sent: tuple[int, str] | None = None
            yield "retry: 1500\n\n"
            while not self._has_ended:
                if self._state != sent:
                    sent = self._state
                    yield f"data: {json.dumps({'version': sent[0], 'trouble': sent[1]})}\n\n"
                try:
                    async with asyncio.timeout(_HEARTBEAT), self._changed:
                        await self._changed.wait_for(lambda: self._has_ended or self._state != sent)  # noqa: B023
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
