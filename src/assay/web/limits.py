"""Limits on requests, and the refusal of those that exceed them."""

from __future__ import annotations

import asyncio
import io
import warnings

from starlette.requests import ClientDisconnect, Request

MAX_PICTURE_BYTES = 4 << 20
MAX_JSON_BYTES = 16 << 20
MAX_PIXELS = 1 << 24  # of one picture, decoded
MAX_IMAGES = 256  # in one request
MAX_NETWORKS = 32  # asked together
MAX_STREAMS = 64
MAX_REQUESTS = 256  # at a time
PICTURE_KINDS = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp")
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


def check_picture(content: bytes, kinds: tuple[str, ...] = PICTURE_KINDS) -> None:
    """Refuses what is no picture of these kinds, or one that declares too many pixels, before any is decoded.

    Raises:
        Refused: 413 or 422.
    """
    from PIL import Image

    formats = tuple(kind.removeprefix("image/").upper() for kind in kinds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own limit is far above ours
        try:
            with Image.open(io.BytesIO(content), formats=formats) as picture:
                width, height = picture.size
        except Image.DecompressionBombError:
            raise Refused(413, f"the picture has more than {MAX_PIXELS:,} pixels") from None
        except Exception:  # decoders of damaged pictures raise whatever comes to them
            raise Refused(422, f"this is no picture that can be read ({', '.join(formats)})") from None
    if width * height > MAX_PIXELS:
        raise Refused(413, f"the picture has {width:,} x {height:,} pixels, and at most {MAX_PIXELS:,} are read")
