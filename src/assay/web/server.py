"""Serves the application until it is interrupted."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, Problem
from .access import Access
from .app import make_app
from .guard import Guard, hosts_of

if TYPE_CHECKING:
    import uvicorn

_BACKLOG = 128


@dataclass(frozen=True)
class Certificate:
    """A TLS certificate and its key, as files in PEM."""

    certificate: Path
    key: Path | None = None


def serve(
    store: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    allow_run: bool = False,
    tls: Certificate | None = None,
    is_insecure: bool = False,
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve the pages over a store until the process is interrupted.

    On any address but this machine's own (loopback) every request must carry a token, which is in the page's address.

    Args:
        store: The store's folder.
        host: The address to listen on.
        port: Its port; 0 takes one that is free.
        allow_run: Whether the page may start and stop training.
        tls: What to serve with TLS by.
        is_insecure: Whether ``allow_run`` is permitted on a network without TLS.
        on_ready: Called with the page's address.

    Raises:
        InputError: The address cannot be listened on, the certificate cannot be used, or training could be started by
            whoever listens on the network.
    """
    import uvicorn

    from .connections import BoundedProtocol

    with _listening(host, port) as listener:
        is_local = ipaddress.ip_address(listener.getsockname()[0].split("%")[0]).is_loopback
        if allow_run and not is_local and tls is None and not is_insecure:
            what = f"--allow-run on {host} without TLS: whoever listens on the network could start and stop training"
            fix = "give --tls-cert and --tls-key, or serve on 127.0.0.1 and use an SSH tunnel, or add --insecure"
            raise InputError(Problem(what, fix))
        bound = int(listener.getsockname()[1])
        scheme = "http" if tls is None else "https"
        access = None if is_local else Access(bound, is_secure=tls is not None)
        app = make_app(store, hosts_of(host, bound, scheme), allow_run=allow_run, access=access)
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=16 << 10,
            ssl_certfile=str(tls.certificate) if tls else None,
            ssl_keyfile=str(tls.key) if tls and tls.key else None,
        )
        if tls is not None:
            try:
                config.load()
            except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
                what = f"the certificate cannot be used ({getattr(error, 'strerror', None) or error})"
                raise InputError(
                    Problem(what, "give a certificate and its key as PEM", file=str(tls.certificate))
                ) from None
        on_ready(f"{scheme}://{_named(host)}:{bound}/{access.query if access else ''}")
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
