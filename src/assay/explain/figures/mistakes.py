"""Figures of mistakes: confusion matrix, class scores, confused pairs, image galleries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...colours import GREEN
from ..mistakes import ClassScores
from .style import Look, Theme, canvas, figure, look, of, plain, rising, short, show, spaced, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 7.2
_PHONE = 4.0  # inches that a phone's screen shows without shrinking them much
_EXAMPLES = 5  # of each direction of a pair
_COLUMNS = 8  # of a gallery
_MOST_NUMBERS, _MOST_NAMES = 20, 50


def confusion_panels(
    confusion: NDArray[np.int64], classes: Sequence[str], *, is_narrow: bool = False, theme: Theme = "light"
) -> Figure:
    """The confusion matrix as counts, and as shares of each class's images: side by side, or one above the other."""
    long = max(len(short(name)) for name in classes)
    if is_narrow:
        with styled(theme):
            fig = figure(_PHONE, 2 * (_PHONE + 0.3))
            above, below = fig.subplots(2, 1)
            confusion_grid(confusion, classes, theme=theme, ax=above)
            confusion_grid(confusion, classes, is_rates=True, theme=theme, ax=below)
        return fig
    side = 4.4 if len(classes) <= 10 else 5.2
    with styled(theme):
        fig = figure(2 * side + 0.08 * long, side + 0.06 * long)
        left, right = fig.subplots(1, 2)
        confusion_grid(confusion, classes, theme=theme, ax=left)
        confusion_grid(confusion, classes, is_rates=True, theme=theme, ax=right)
        right.set_ylabel("")
        right.set_yticklabels([])
    return fig


def confusion_grid(
    confusion: NDArray[np.int64],
    classes: Sequence[str],
    *,
    is_rates: bool = False,
    theme: Theme = "light",
    ax: Axes | None = None,
) -> Figure:
    """The confusion matrix: rows are true classes, columns predicted ones. Only mistakes are coloured.

    Args:
        confusion: As ``confusion_matrix`` counts it.
        classes: Their names.
        is_rates: Shares of each row in percent instead of counts.
        theme: Of a figure of our own.
        ax: Axes to draw on.
    """
    n = len(classes)
    support = confusion.sum(1, keepdims=True)
    values = 100 * confusion / np.maximum(support, 1) if is_rates else confusion.astype(np.float64)
    wrong = np.where(np.eye(n, dtype=bool), np.nan, values)
    most = float(np.nanmax(wrong, initial=0)) or 1.0
    with canvas(5.4, 5.2, theme, ax) as (axes, palette):
        axes.imshow(wrong, cmap=rising(theme).with_extremes(bad=palette.line), vmin=0, vmax=most, interpolation="none")
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0)
        if n <= _MOST_NAMES:
            names = [short(name) for name in classes]
            turned = any(len(name) > 2 for name in names)
            axes.set_yticks(range(n), labels=names)
            axes.set_xticks(
                range(n), labels=names, rotation=45 if turned else 0, ha="right" if turned else "center",
                rotation_mode="anchor" if turned else "default",
            )  # fmt: skip
        if n <= _MOST_NUMBERS:
            for (row, column), value in np.ndenumerate(values):
                if confusion[row, column]:
                    axes.text(
                        column, row, _number(value, is_rates), ha="center", va="center",
                        fontsize=8 if n <= 10 else 5.5,
                        color=_text_colour(value / most, palette, theme) if row != column else palette.ink,
                    )  # fmt: skip
        axes.set_title("share of the class's images, %" if is_rates else "images")
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
    return of(axes)


def class_dots(
    scores: ClassScores, classes: Sequence[str], *, theme: Theme = "light", ax: Axes | None = None
) -> Figure:
    """Precision, recall and F1 of every class, the weakest class on top."""
    order = np.argsort(-np.nan_to_num(scores.f1), kind="stable")
    order = order[-_MOST_NAMES:]
    parts = (
        ("precision", scores.precision, look(theme).blue, "o"),
        ("recall", scores.recall, look(theme).orange, "s"),
        ("F1", scores.f1, GREEN, "D"),
    )
    places = np.arange(len(order))
    with canvas(6.2, 0.29 * len(order) + 1.0, theme, ax) as (axes, palette):
        low, high = (
            np.nan_to_num(edge(np.stack([scores.precision, scores.recall])[:, order], axis=0))
            for edge in (np.fmin.reduce, np.fmax.reduce)
        )
        axes.hlines(places, 100 * low, 100 * high, color=palette.line, linewidth=2.5, zorder=1)
        for name, values, colour, mark in parts:
            axes.plot(100 * values[order], places, mark, color=colour, markersize=5.5, label=name, alpha=0.9)
        axes.set_yticks(places, labels=[f"{short(classes[at], 18)}  ({scores.support[at]:,})" for at in order])
        axes.set_xlabel("%, in brackets the class's images")
        axes.tick_params(length=0)
        axes.grid(axis="x", linewidth=0.7)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(-0.7, len(order) - 0.3)
        axes.legend(
            ncols=3, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, handletextpad=0.2, columnspacing=1.2,
            labelcolor=palette.ink,
        )  # fmt: skip
    return of(axes)


@dataclass(frozen=True)
class PairRow:
    """A pair of classes with examples, as they are drawn.

    Args:
        a, b: Names.
        a_for_b, b_for_a: How many images.
        a_examples, b_examples: Stored images of a predicted as b, and of b predicted as a.
    """

    a: str
    b: str
    a_for_b: int
    b_for_a: int
    a_examples: NDArray[Any]
    b_examples: NDArray[Any]


def pair_rows(pairs: Sequence[PairRow], *, theme: Theme = "light") -> Figure:
    """The pairs of classes that are mixed up most often, with examples of both directions."""
    side = (_WIDTH - 0.4) / (2 * _EXAMPLES)
    with styled(theme) as palette:
        height = len(pairs) * (side + 0.3) + 0.05
        fig = figure(_WIDTH, height)
        grid = fig.subplots(
            len(pairs), 2 * _EXAMPLES + 1, squeeze=False, width_ratios=[*[1] * _EXAMPLES, 0.3, *[1] * _EXAMPLES]
        )
        spaced(fig, w_pad=0.015, h_pad=0.02, wspace=0.01, hspace=0.24 / side, rect=(0, 0, 1, 1 - 0.25 / height))
        for axes in grid.flat:
            axes.set_axis_off()
        for row, pair in zip(grid, pairs, strict=True):
            sides = (
                (row[:_EXAMPLES], pair.a, pair.b, pair.a_for_b, pair.a_examples),
                (row[_EXAMPLES + 1 :], pair.b, pair.a, pair.b_for_a, pair.b_examples),
            )
            for cells, true_class, predicted, count, images in sides:
                heading = f"{short(true_class, 16)} predicted as {short(predicted, 16)}: {count:,}"
                # The figure's own text may reach over several images; an axes' would push them apart.
                style = {"transform": cells[0].transAxes, "fontsize": 8.5}
                fig.text(0, 1.05, heading, color=palette.ink if count else palette.soft, **style)
                for axes, image in zip(cells, images[:_EXAMPLES], strict=False):
                    axes.set_axis_on()
                    show(axes, image)
    return fig


def image_gallery(
    images: NDArray[Any], titles: Sequence[str], *, is_narrow: bool = False, theme: Theme = "light"
) -> Figure:
    """Images with up to three short lines above each.

    Args:
        images: As stored [n, height, width, channels].
        titles: Above each [n].
        is_narrow: As wide as a phone: half as many in a row.
        theme: Of the figure.
    """
    n = len(images)
    columns = min(_COLUMNS // 2 if is_narrow else _COLUMNS, max(n, 1))
    rows = math.ceil(n / columns)
    side = min(1.1, (_WIDTH - 0.1) / columns)
    lines = max((title.count("\n") + 1 for title in titles), default=1)
    with styled(theme) as palette:
        fig = figure(
            columns * side + 0.1, rows * (side * images.shape[1] / images.shape[2] + 0.125 * lines + 0.06) + 0.1
        )
        grid = fig.subplots(rows, columns, squeeze=False)
        spaced(fig, w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.02)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, image, title in zip(grid.flat, images, titles, strict=False):
            axes.set_axis_on()
            show(axes, image)
            axes.set_title(plain(title), fontsize=7, loc="left", color=palette.soft, pad=3, linespacing=1.15)
    return fig


def _number(value: float, is_rates: bool) -> str:
    if not is_rates:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value < 99.95 else "100"


def _text_colour(strength: float, palette: Look, theme: Theme) -> str:
    if theme == "light":
        return "#ffffff" if strength > 0.62 else palette.ink
    return "#16191d" if strength > 0.62 else palette.ink
