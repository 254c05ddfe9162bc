"""Pictures of one run, together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import disk
from ...explain.picture import Format, Picture

if TYPE_CHECKING:
    import pandas as pd

    from ...explain.figures.style import Theme


@dataclass(frozen=True, eq=False)
class Explanation:
    """Pictures of one run and tables of its mistakes, as :meth:`assay.Run.explain` returns them.

    ``explanation["confusion"]`` is one picture; iteration yields all of them.

    Args:
        about: The run: study, run, arm, seed, split, leaky, images, accuracy; for an ensemble its members, whose first
            one is examined.
        pictures: The pictures, in the order in which they are best viewed.
        left_out: Pictures that could not be drawn, by name, with the reason.
        mistakes: Every misclassified image of the split, the costliest first.
        classes: Precision, recall, F1 and the number of images of every class.
    """

    about: Mapping[str, Any]
    pictures: tuple[Picture, ...]
    left_out: Mapping[str, str]
    mistakes: pd.DataFrame
    classes: pd.DataFrame

    def __getitem__(self, name: str) -> Picture:
        return next(picture for picture in self.pictures if name in (picture.name, picture.kind))

    def __iter__(self) -> Iterator[Picture]:
        return iter(self.pictures)

    @property
    def title(self) -> str:
        """Study, arm and run, as a title."""
        about = self.about
        inside = f" (an ensemble of {about['members']}; layers are the first one's)" if "members" in about else ""
        return f"{about['study']}: {about['arm']}, {about['label']}{inside}"

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the drawings as plain values, for JSON."""
        pictures = [
            {"name": one.name, "title": one.title, "caption": one.caption, "data": dict(one.data)}
            for one in self.pictures
        ]
        mistakes = self.mistakes.to_dict("records")
        return {**self.about, "pictures": pictures, "left_out": dict(self.left_out), "mistakes": mistakes}

    def write(self, folder: str | Path, *, format: Format = "png", theme: Theme = "light") -> dict[str, Path]:
        """Write every picture to a folder, with ``index.html``, which shows them all, and ``mistakes.csv``.

        Args:
            folder: The folder.
            format: ``"png"``, ``"svg"`` or ``"pdf"``.
            theme: ``"light"`` or ``"dark"``.

        Returns:
            The paths by name.

        Raises:
            DiskFull: There is no space left.
            DataError: A file cannot be written.
        """
        target = Path(folder)
        paths = {one.name: one.save(target / f"{one.name}.{format}", theme) for one in self.pictures}
        body = "".join(one.html(paths[one.name].name) for one in self.pictures)
        disk.write(target / "index.html", _PAGE.format(title=escape(self.title), body=body + self._rest()).encode())
        disk.write(target / "mistakes.csv", self.mistakes.to_csv(index=False, lineterminator="\n").encode())
        return {**paths, "mistakes": target / "mistakes.csv", "index": target / "index.html"}

    def _rest(self) -> str:
        items = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in self.left_out.items())
        return f"<p>Left out:</p><ul>{items}</ul>" if items else ""

    def _repr_html_(self) -> str:
        return f"<h3>{escape(self.title)}</h3>" + "".join(one.html() for one in self.pictures) + self._rest()


_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
    "<style>body{{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:66rem;padding:0 1rem;"
    "color:#16191d;background:#fff}}figcaption{{margin-bottom:.5rem;max-width:46rem}}</style>"
    "<h1>{title}</h1>{body}</html>"
)
