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

Format = Literal["png", "svg"]


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its title, caption and data.

    Args:
        name: Of its file: ``confusion``, ``kernels-conv1``.
        title: Its heading.
        caption: How to read it and what it says, in sentences: also what a screen reader reads out.
        draw: Draws it in a theme.
        data: Its numbers as plain values, for JSON.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Theme], Figure]
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Its name without the layer."""
        return self.name.split("-")[0]

    def figure(self, theme: Theme = "light") -> Figure:
        """A new Matplotlib figure of it."""
        return self.draw(theme)

    def encoded(self, format: Format = "png", theme: Theme = "light") -> bytes:
        """The picture as a file's content; the same bytes every time."""
        content = io.BytesIO()
        metadata: dict[str, Any] = {"Software": None} if format == "png" else {"Date": None, "Creator": None}
        figure = self.draw(theme)
        with styled(theme):
            figure.savefig(
                content, format=format, dpi=DOTS_PER_INCH, metadata=metadata, bbox_inches="tight", pad_inches=0.08
            )
        return content.getvalue()

    def save(self, path: str | Path, theme: Theme = "light") -> Path:
        """Writes it to a file; its suffix decides the format.

        Raises:
            DiskFull: There is no room for it.
            DataError: The disk refuses for another reason.
        """
        target = Path(path)
        disk.write(target, self.encoded("svg" if target.suffix == ".svg" else "png", theme))
        return target

    def html(self, source: str | None = None) -> str:
        """A figure element: the image from ``source``, or held within it."""
        inside = source or f"data:image/png;base64,{base64.b64encode(self.encoded()).decode()}"
        return (
            f'<figure style="margin:1.5rem 0;max-width:64rem"><figcaption><b>{escape(self.title)}</b><br>'
            f'{escape(self.caption)}</figcaption><img src="{inside}" alt="{escape(self.caption)}" '
            'style="max-width:100%;height:auto"></figure>'
        )

    def _repr_html_(self) -> str:
        return self.html()
