"""Limits on requests, and the refusal of those that exceed them."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

MAX_PICTURE_BYTES = 4 << 20
MAX_JSON_BYTES = 16 << 20
MAX_PIXELS = 1 << 24  # of one picture, decoded
MAX_IMAGES = 256  # in one request
MAX_NETWORKS = 32  # asked together
MAX_STREAMS = 64
BODY_SECONDS = 20.0


class Refused(Exception):
    """A refused request: the response's status, and the reason as one sentence without its full stop."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(reason)


async def body_of(request: Request, limit: int, kinds: tuple[str, ...]) -> bytes:
    """The request's body, read up to a limit.

    Args:
        request: Its content type must be one of ``kinds``: none of those that a form of another site can send.
        limit: Bytes.
        kinds: Such as ``application/json``.

    Raises:
        Refused: 415, 413, 408 for one that takes too long, or 400 for one that breaks off.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in kinds:
        raise Refused(415, f"the content type must be {' or '.join(kinds)}")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise Refused(413, f"the request has {int(declared):,} bytes, and at most {limit:,} are read")
    content = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                content += part
                if len(content) > limit:
                    raise Refused(413, f"the request has more than {limit:,} bytes")
    except TimeoutError:
        raise Refused(408, f"the request took more than {BODY_SECONDS:g} seconds to arrive") from None
    except ClientDisconnect:
        raise Refused(400, "the request broke off") from None
    return bytes(content)
