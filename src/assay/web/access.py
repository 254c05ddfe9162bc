"""Who may read a page that others than this machine can reach: whoever has the link with its token."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from .limits import Refused

_PARAMETER = "token"


@dataclass(frozen=True)
class Access:
    """A token that every request must carry: in its address, in a cookie, or as ``Authorization: Bearer``.

    Args:
        port: The server's port: browsers keep cookies of all of a machine's ports together.
        is_secure: Whether the page is served by TLS.
        token: The secret, 192 random bits.
    """

    port: int
    is_secure: bool = False
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def query(self) -> str:
        """What the page's address ends with."""
        return f"?{urlencode({_PARAMETER: self.token})}"

    def admit(self, scope: Scope, headers: Headers) -> Response | None:
        """Lets a request with the token pass.

        A browser that opens an address with the token gets it as a cookie, and is sent to the same address without it:
        it is neither in the history nor in what is copied from there.

        Returns:
            The response to a browser that brings the token in an address; ``None`` for any other request that has it.

        Raises:
            Refused: 401; the token is missing or another one.
        """
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if any(name == _PARAMETER and self._is_ours(value) for name, value in pairs):
            if "text/html" not in headers.get("accept", ""):
                return None
            rest = urlencode([(name, value) for name, value in pairs if name != _PARAMETER])
            path = "/" + scope["path"].lstrip("/")  # never another host's, as //host would be
            response = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
            response.set_cookie(
                self._cookie, self.token, httponly=True, samesite="lax", secure=self.is_secure, path="/"
            )
            return response
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_ours(credentials.strip()):
            return None
        if self._is_ours(self._brought(headers)):
            return None
        raise Refused(401, "open the link that `assay serve` printed: it holds the token that this page asks for")

    @property
    def _cookie(self) -> str:
        return f"assay-token-{self.port}"

    def _brought(self, headers: Headers) -> str:
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return ""
        morsel = cookies.get(self._cookie)
        return morsel.value if morsel else ""

    def _is_ours(self, token: str) -> bool:
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode())
