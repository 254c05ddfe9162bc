"""Serves the application until it is interrupted."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, Problem
from .app import make_app
from .guard import Guard, hosts_of

if TYPE_CHECKING:
    import uvicorn

_BACKLOG = 128


def serve(
    store: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    allow_run: bool = False,
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve the pages over a store until the process is interrupted.

    Args:
        store: The store's folder.
        host: The address to listen on.
        port: Its port; 0 takes one that is free.
        allow_run: Whether the page may start and stop training.
        on_ready: Called with the page's address.

    Raises:
        InputError: The address cannot be listened on.
    """
    import uvicorn

    with _listening(host, port) as listener:
        bound = int(listener.getsockname()[1])
        app = make_app(store, hosts_of(host, bound), allow_run=allow_run)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            limit_concurrency=256,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=16 << 10,
        )
        on_ready(f"http://{_named(host)}:{bound}/")
        server = _ending(uvicorn.Server(config), app)
        server.run(sockets=[listener])


def _ending(server: uvicorn.Server, app: Guard) -> uvicorn.Server:
    """The server, ending the streams of events when it is stopped: it would wait for them."""
    shutdown = server.shutdown

    async def ended(sockets: list[socket.socket] | None = None) -> None:
        await app.end()
        await shutdown(sockets)

    server.shutdown = ended  # type: ignore[method-assign]
    return server


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        what = f"{host} port {port} cannot be listened on ({error.strerror or error})"
        raise InputError(Problem(what, "name another --port, or --host")) from None
    return listener


def _named(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1" if host == "0.0.0.0" else "[::1]"
    return f"[{host}]" if ":" in host else host
