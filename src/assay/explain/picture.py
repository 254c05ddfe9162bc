"""A picture: its title, caption and numbers, and the function that draws it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import disk
from .figures.style import DOTS_PER_INCH, Theme, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Format = Literal["png", "svg", "pdf"]
FORMATS: tuple[Format, ...] = ("png", "svg", "pdf")


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its title, caption and data. A notebook shows it.

    Args:
        name: Its name, such as ``"confusion"`` or ``"kernels-conv1"``.
        title: Its heading.
        caption: What it shows and how to read it. Screen readers read it too.
        draw: Draws it in a theme.
        data: Its numbers as plain values, for JSON.
        draw_narrow: Draws it for the width of a phone, if the usual drawing would be too small there.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Theme], Figure]
    data: Mapping[str, Any] = field(default_factory=dict)
    draw_narrow: Callable[[Theme], Figure] | None = None

    @property
    def kind(self) -> str:
        """Its name without the layer."""
        return self.name.split("-")[0]

    def figure(self, theme: Theme = "light") -> Figure:
        """Return it as a new Matplotlib figure.

        Args:
            theme: ``"light"`` or ``"dark"``.
        """
        return self.draw(theme)

    def encoded(self, format: Format = "png", theme: Theme = "light") -> bytes:
        """Return it as the content of a file. The bytes are the same every time.

        Args:
            format: ``"png"``, ``"svg"`` or ``"pdf"``.
            theme: ``"light"`` or ``"dark"``.
        """
        return encoded(self.draw(theme), format, theme)

    def narrow(self, theme: Theme = "light") -> bytes | None:
        """Return the drawing for a phone as a PNG; ``None`` if the usual one is suitable.

        Args:
            theme: ``"light"`` or ``"dark"``.
        """
        return None if self.draw_narrow is None else encoded(self.draw_narrow(theme), "png", theme)

    def save(self, path: str | Path, theme: Theme = "light") -> Path:
        """Write it to a file and return the file's path.

        Args:
            path: The file. Its suffix decides the format: ``.png``, ``.svg`` or ``.pdf``.
            theme: ``"light"`` or ``"dark"``.

        Raises:
            DiskFull: There is no space left.
            DataError: The file cannot be written.
        """
        target = Path(path)
        suffix = target.suffix.removeprefix(".")
        disk.write(target, self.encoded(next((known for known in FORMATS if known == suffix), "png"), theme))
        return target

    def html(self, source: str | None = None) -> str:
        """Return an HTML figure element.

        Args:
            source: The address of the image. If ``None``, the image is embedded.
        """
        inside = source or f"data:image/png;base64,{base64.b64encode(self.encoded()).decode()}"
        return (
            f'<figure style="margin:1.5rem 0;max-width:64rem"><figcaption><b>{escape(self.title)}</b><br>'
            f'{escape(self.caption)}</figcaption><img src="{inside}" alt="{escape(self.caption)}" '
            'style="max-width:100%;height:auto"></figure>'
        )

    def _repr_html_(self) -> str:
        return self.html()


def encoded(figure: Figure, format: Format, theme: Theme = "light") -> bytes:
    """A Matplotlib figure as a file's content, the same bytes every time; texts in a PDF stay texts."""
    content = io.BytesIO()
    with styled(theme):
        figure.savefig(
            content, format=format, dpi=DOTS_PER_INCH, metadata=_METADATA[format], bbox_inches="tight", pad_inches=0.08
        )
    return content.getvalue()


_METADATA: dict[Format, dict[str, Any]] = {  # without what differs between two drawings of the same
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}
