"""The style of pictures: colours of the light and dark theme, Matplotlib settings, axes helpers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...extras import needed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

Theme = Literal["light", "dark"]
DOTS_PER_INCH = 150


@dataclass(frozen=True)
class Look:
    """Colours of a theme: paper and ink; what stands back; lines; values below, at and above zero."""

    paper: str
    ink: str
    soft: str
    line: str
    below: tuple[str, str]
    zero: str
    above: tuple[str, str]
    blue: str
    orange: str


_LOOKS: dict[Theme, Look] = {
    "light": Look(
        "#ffffff", "#16191d", "#5b636c", "#e2e5e9",
        ("#00395c", "#3b93c7"), "#f7f7f7", ("#e58a4a", "#8f3a00"), "#0072B2", "#D55E00",
    ),
    "dark": Look(
        "#121519", "#e9ecef", "#a2abb4", "#2b3138",
        ("#a5dcff", "#2a7fb3"), "#1d2228", ("#c46a2c", "#ffc79a"), "#56B4E9", "#F0884A",
    ),
}  # fmt: skip


def look(theme: Theme) -> Look:
    """The colours of a theme."""
    return _LOOKS[theme]


def signed(theme: Theme) -> Colormap:
    """Blue below zero, orange above, the paper's grey at zero: the one scale of everything that has a sign."""
    from matplotlib.colors import LinearSegmentedColormap

    palette = look(theme)
    colours = [*palette.below, palette.zero, *palette.above]
    return LinearSegmentedColormap.from_list("signed", colours).with_extremes(bad=palette.paper)


def rising(theme: Theme) -> Colormap:
    """From the paper's grey to orange, as ``signed`` above zero: the scale of counts and heat."""
    from matplotlib.colors import LinearSegmentedColormap

    palette = look(theme)
    return LinearSegmentedColormap.from_list("rising", [palette.zero, *palette.above]).with_extremes(bad=palette.paper)


@contextmanager
def styled(theme: Theme) -> Iterator[Look]:
    """Applies Assay's Matplotlib settings while a picture is drawn or saved."""
    mpl = needed("matplotlib", "Pictures")
    palette = look(theme)
    settings: Any = {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", *_further_fonts()],
        "font.size": 9,
        "text.color": palette.ink,
        "figure.facecolor": palette.paper,
        "savefig.facecolor": palette.paper,
        "axes.facecolor": palette.paper,
        "axes.edgecolor": palette.line,
        "axes.labelcolor": palette.soft,
        "axes.titlecolor": palette.ink,
        "axes.titlelocation": "left",
        "axes.titlesize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "xtick.color": palette.line,
        "ytick.color": palette.line,
        "xtick.labelcolor": palette.soft,
        "ytick.labelcolor": palette.soft,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "grid.color": palette.line,
        "legend.frameon": False,
        "svg.fonttype": "path",
        "svg.hashsalt": "assay",
        "pdf.fonttype": 42,  # TrueType: journals refuse Type 3 fonts
    }
    with mpl.rc_context(settings):
        yield palette


@contextmanager
def canvas(width: float, height: float, theme: Theme, ax: Axes | None = None) -> Iterator[tuple[Axes, Look]]:
    """Axes to draw on: the given ones unchanged, or those of a new figure, in inches."""
    if ax is not None:
        yield ax, look(theme)
        return
    with styled(theme) as palette:
        yield figure(width, height).subplots(), palette


def figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, that belongs to no window. To be used inside ``styled``."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")


def spaced(figure: Figure, **pads: Any) -> None:
    """Other margins for a figure of ours: what its constrained layout takes."""
    engine: Any = figure.get_layout_engine()
    engine.set(**pads)


def of(ax: Axes) -> Figure:
    """The figure that axes lie on."""
    figure: Any = ax.get_figure()
    while hasattr(figure, "figure") and figure.figure is not figure:
        figure = figure.figure
    return figure  # type: ignore[no-any-return]


def plain(text: object) -> str:
    """A text that Matplotlib does not take for a formula."""
    return str(text).replace("$", r"\$")


def short(text: object, length: int = 14) -> str:
    """A label that fits."""
    label = str(text)
    return plain(label if len(label) <= length else f"{label[: length - 1]}…")


def bare(ax: Axes) -> None:
    """No ticks and no frame."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def pixels(image: NDArray[Any]) -> NDArray[Any]:
    """A stored image as ``imshow`` takes it: uint8, or float32 in 0 to 1, [height, width, 3]."""
    values = image if image.dtype == np.uint8 else np.clip(image, 0, 1)
    return np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values


def show(ax: Axes, image: NDArray[Any]) -> None:
    """A stored image with a hairline around it, so that black and white ones have an end."""
    ax.imshow(pixels(image), interpolation="none")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(visible=True, linewidth=0.5)


def _further_fonts() -> list[str]:
    """Fonts for class names in other scripts, where the machine has some."""
    from matplotlib import font_manager

    known = set(font_manager.get_font_names())
    candidates = (
        "Noto Sans CJK JP",
        "Noto Sans CJK SC",
        "Noto Sans",
        "Hiragino Sans",
        "PingFang SC",
        "Arial Unicode MS",
    )
    return [name for name in candidates if name in known]
