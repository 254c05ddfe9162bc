"""Connections as they come: what sends its headers slowly is cut off, and nobody takes every place."""

from __future__ import annotations

import asyncio
import collections
import logging

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 20.0
MAX_CONNECTIONS = 512
MAX_PER_ADDRESS = 128

log = logging.getLogger("assay.web")


class _Open:
    """The open connections of this process, the oldest first."""

    def __init__(self) -> None:
        self.all: dict[BoundedProtocol, None] = {}
        self.per_address: collections.Counter[str] = collections.Counter()

    def make_room(self, address: str) -> bool:
        """Whether one more connection of this address has a place, if need be that of one that waits for a request."""
        if self.per_address[address] >= MAX_PER_ADDRESS:
            return self._cut_waiting(address)
        return len(self.all) < MAX_CONNECTIONS or self._cut_waiting(None)

    def _cut_waiting(self, address: str | None) -> bool:
        for connection in self.all:
            if connection.is_waiting and address in (None, connection.address):
                connection.cut()
                return True
        return False

    def add(self, connection: BoundedProtocol) -> None:
        self.all[connection] = None
        self.per_address[connection.address] += 1

    def discard(self, connection: BoundedProtocol) -> None:
        if connection in self.all:
            del self.all[connection]
            self.per_address[connection.address] -= 1
            self.per_address += collections.Counter()  # drop addresses without any


_open = _Open()


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, whose connections wait ``HEADER_SECONDS`` for a request's headers at most.

    Where there are ``MAX_PER_ADDRESS`` of its address or ``MAX_CONNECTIONS`` altogether, a new connection takes the
    place of the oldest one that waits for a request; it is refused only where all of them are being answered.
    """

    address = ""
    _deadline: asyncio.TimerHandle | None = None
    _asked: object = None  # the request that was answered last, or is being answered

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being answered: its headers are still to come."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        if not _open.make_room(self.address):
            log.warning("refused a connection from %s: too many are open", self.address)
            transport.write(b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            transport.close()
            return
        _open.add(self)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        _open.discard(self)
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not self._asked:
            self._asked = self.cycle
            self._stop_waiting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.is_waiting and not self.transport.is_closing():
            self._await_headers()

    def cut(self) -> None:
        """Close the connection at once."""
        _open.discard(self)
        self._stop_waiting()
        self.transport.abort()

    def _await_headers(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._cut_late)

    def _cut_late(self) -> None:
        if self.is_waiting:
            log.warning("cut off %s: no request within %g seconds", self.address, HEADER_SECONDS)
            self.cut()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
