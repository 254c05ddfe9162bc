"""Protects against other sites: checks Host and Origin, and sets the security headers of every response."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import Access
from .limits import MAX_REQUESTS, Refused

log = logging.getLogger("assay.web")

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A report holds its own scripts. The sandbox gives it an origin of its own, so that they reach nothing here.
REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads allow-modals; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "cache-control": "no-store",
}
_SAFE = {"GET", "HEAD"}


@dataclass(frozen=True)
class Hosts:
    """The host names that the server accepts.

    A page of another site can have its own name resolve to this machine (DNS rebinding); the browser then sends that
    name as Host. A numeric address cannot be rebound.

    Args:
        host: The address that the server listens on.
        port: Its port.
        names: Further names.
        scheme: ``http``, or ``https`` where it has a certificate.
    """

    host: str
    port: int
    names: frozenset[str] = field(default=frozenset())
    scheme: str = "http"

    def is_ours(self, header: str) -> bool:
        """Whether a Host header names this server: its address and its port."""
        name, port = _host_and_port(header, 443 if self.scheme == "https" else 80)
        if port != self.port:
            return False
        names = {self.host.lower(), "localhost", *self.names}
        if name in names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self._is_open

    @property
    def _is_open(self) -> bool:
        """Whether it listens on every address of this machine."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False


def hosts_of(host: str, port: int, scheme: str = "http") -> Hosts:
    """The host names of a server on this address, with this machine's name if it listens on every address."""
    hosts = Hosts(host, port, scheme=scheme)
    return replace(hosts, names=frozenset({socket.gethostname().lower()})) if hosts._is_open else hosts


def _host_and_port(header: str, usual: int) -> tuple[str, int]:
    """A Host header's name, without brackets, and port; port -1 for an invalid header."""
    name, colon, port = header.strip().lower().rpartition(":")
    if not colon or "]" in port:
        name, port = header.strip().lower(), str(usual)
    if not (port.isascii() and port.isdigit() and len(port) <= 5):
        return "", -1
    return name.removeprefix("[").removesuffix("]"), int(port)


class Guard:
    """The outermost middleware: refuses and logs requests of other sites, those without the token, and those that are
    too many at a time; and sets the headers of every response."""

    def __init__(
        self, app: ASGIApp, hosts: Hosts, end: Callable[[], Awaitable[None]], access: Access | None = None
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._access = access
        self._num_requests = 0
        self.end = end  # ends unbounded responses, such as streams of events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        self._num_requests += 1
        try:
            headers = Headers(scope=scope)
            self._check(scope["method"], headers)
            response = self._access.admit(scope, headers) if self._access is not None else None
            await (response or self._app)(scope, receive, guarded)
        except Refused as refused:
            note(scope, refused)
            await refusal(refused)(scope, receive, guarded)
        finally:
            self._num_requests -= 1

    def _check(self, method: str, headers: Headers) -> None:
        if self._num_requests > MAX_REQUESTS:
            raise Refused(503, f"{MAX_REQUESTS} requests are being answered; try again")
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self._hosts.is_ours(hosts[0]):
            raise Refused(421, f"this server is not called {_literals(hosts)}")
        if len(origins) > 1 or (origins and origins[0] != f"{self._hosts.scheme}://{hosts[0]}"):
            raise Refused(403, f"the request comes from another site, {_literals(origins)}")
        site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode", "")
        is_visit = method in _SAFE and mode == "navigate" and headers.get("sec-fetch-dest") == "document"
        if site not in ("same-origin", "none") and not is_visit:
            raise Refused(403, "the request comes from another site's page")


def refusal(refused: Refused) -> JSONResponse:
    """The response to a request that is refused."""
    return JSONResponse({"error": f"{refused.reason}."}, refused.status)


def note(scope: Scope, refused: Refused) -> None:
    """Logs a refusal; values from the request are written as literals, so that they cannot forge a log line."""
    client = (scope.get("client") or ("?", 0))[0]
    log.warning("refused %d: %s %r from %s: %s", refused.status, scope["method"], scope["path"], client, refused.reason)


def _literals(values: list[str]) -> str:
    return " and ".join(ascii(value[:100]) for value in values) or "nothing"
