"""The figures of a study's report, for papers: those of its record, and the pictures of its best arm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import disk
from ..errors import InputError, Problem, SpecError, nearest
from ..extras import needed
from ..store import StudyRecord
from .recorded import gallery_of, network_tables, recorded_networks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..explain.picture import Picture
    from ..report.blocks import FigureBlock
    from ..report.paper import PaperFormat


@dataclass(frozen=True, eq=False)
class PaperFigure:
    """A figure of a report, to be drawn for a paper.

    Args:
        name: As :meth:`Result.figure` and ``assay figure`` take it.
        title: Its heading in the report.
        caption: How to read it.
        draw: Draws it at a width in inches, with letters like Times or without serifs.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[float, bool], Figure]

    def figure(self, width: str | float = "column", *, is_serif: bool = False) -> Figure:
        """A new Matplotlib figure of it.

        Args:
            width: ``column`` (3.3 inches), ``text`` (5.5), ``page`` (6.9), inches as a number, or such as ``84mm``.
            is_serif: Letters like Times, as in most LaTeX classes.

        Raises:
            SpecError: The width is none.
        """
        from ..report.paper import width_of

        return self.draw(width_of(str(width)), is_serif)

    def save(self, path: str | Path, width: str | float = "column", *, is_serif: bool = False) -> Path:
        """Write it as PDF, SVG or PNG, by the path's suffix, and return the path.

        Raises:
            SpecError: The width or the suffix is none.
            DiskFull: There is no room for it.
        """
        from ..report.paper import FORMATS, saved

        target = Path(path)
        format: PaperFormat | None = next((one for one in FORMATS if target.suffix == f".{one}"), None)
        if format is None:
            raise SpecError(Problem(f"got {target}", f"give a file that ends in .{', .'.join(FORMATS)}"))
        disk.write(target, saved(self.figure(width, is_serif=is_serif), format))
        return target


def paper_figures(record: StudyRecord, store: Path, *, with_pictures: bool = True) -> dict[str, PaperFigure]:
    """Every figure of a study's report by name, in the report's order.

    Args:
        record: The study.
        store: The store's folder.
        with_pictures: With those of the best arm, whose network is asked for them.

    Raises:
        NotInstalled: Matplotlib is not installed.
    """
    from ..report import plates
    from .robustness import kept_robustness

    needed("matplotlib", "Figures for papers")
    blocks = plates(
        record,
        summaries=network_tables(recorded_networks(record), record.design.data.scaling),
        gallery=gallery_of(record, with_look=False),
        robustness=kept_robustness(record, store),
    )
    figures = {
        name: PaperFigure(name, block.title, block.note or block.description, _drawing(block))
        for name, block in blocks.items()
    }
    return figures | (_pictures(record, store) if with_pictures else {})


def _drawing(block: FigureBlock) -> Callable[[float, bool], Figure]:
    from ..report.paper import drawn

    return lambda width, is_serif: drawn(block, width=width, is_serif=is_serif)


def _pictures(record: StudyRecord, store: Path) -> dict[str, PaperFigure]:
    """The report's pictures of the best arm; none where its weights or the data are gone."""
    from .explanations import report_pictures

    try:
        pictures = report_pictures(record, store)
    except InputError:
        return {}
    return {
        picture.name: PaperFigure(picture.name, picture.title, picture.caption, _scaled(picture))
        for picture in pictures
    }


def _scaled(picture: Picture) -> Callable[[float, bool], Figure]:
    """Draws a picture at another width; its letters are its own."""
    return lambda width, _: _resized(picture.figure(), width)


def _resized(figure: Figure, width: float) -> Figure:
    """A picture at another width, with its texts: it was laid out for a page."""
    from matplotlib.text import Text

    own, height = figure.get_size_inches()
    scale = width / own
    for text in figure.findobj(Text):
        text.set_fontsize(text.get_fontsize() * scale)
    figure.set_size_inches(width, height * scale)
    return figure


def figure_named(figures: dict[str, PaperFigure], name: str, study: str) -> PaperFigure:
    """One of them.

    Raises:
        SpecError: The report has no such figure.
    """
    if name not in figures:
        raise SpecError(
            Problem(f'the report of "{study}" has no figure "{name}"', nearest(name, list(figures)), "name")
        )
    return figures[name]
