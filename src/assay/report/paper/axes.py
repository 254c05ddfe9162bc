"""The axes of a page's figure, as Matplotlib sets them."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEWEST_TICKS = 2


def set_axes(axes: Axes, layout: Mapping[str, Any]) -> None:
    """Sets both axes as a layout of Plotly describes them.

    Args:
        axes: With everything drawn on them.
        layout: Plotly's, as plain values.
    """
    for which in ("x", "y"):
        _set(axes, which, layout.get(f"{which}axis", {}))
    if layout.get("yaxis", {}).get("visible") is False:
        axes.spines["left"].set_visible(False)


def _set(axes: Axes, which: Literal["x", "y"], given: Mapping[str, Any]) -> None:
    own: Any = axes.xaxis if which == "x" else axes.yaxis
    limits: Any = axes.set_xlim if which == "x" else axes.set_ylim
    is_log = given.get("type") == "log"
    if is_log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    if (span := given.get("range")) is not None:
        limits(*(10**end if is_log else end for end in span))
    elif given.get("autorange") == "reversed":
        low, high = (axes.get_xlim if which == "x" else axes.get_ylim)()
        limits(max(low, high), min(low, high))
    elif given.get("rangemode") == "tozero":
        limits(0, None)
    if (clip := given.get("autorangeoptions")) is not None and "range" not in given:
        low, high = (axes.get_xlim if which == "x" else axes.get_ylim)()
        limits(max(low, clip.get("clipmin", low)), min(high, clip.get("clipmax", high)))
    if given.get("visible") is False:
        own.set_visible(False)
        return
    _ticks(axes, which, own, given, is_log=is_log)
    title = given.get("title")
    text = title.get("text", "") if isinstance(title, Mapping) else str(title or "")
    if text:
        own.set_label_text(html.unescape(text).replace("$", r"\$"))
    if given.get("showgrid", True):
        axes.grid(visible=True, axis=which)


def _ticks(axes: Axes, which: Literal["x", "y"], own: Any, given: Mapping[str, Any], *, is_log: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator, NullLocator

    suffix = str(given.get("ticksuffix") or "")
    places, texts = given.get("tickvals"), given.get("ticktext")
    if places is not None:
        low, high = sorted((axes.get_xlim if which == "x" else axes.get_ylim)())
        texts = [html.unescape(str(text).replace("<br>", "\n")).replace("$", r"\$") for text in (texts or places)]
        kept = [(place, text) for place, text in zip(places, texts, strict=True) if low <= place <= high]
        is_crowded = is_log and len(kept) > (6 if which == "x" else 8)
        if is_crowded:  # of 1, 2, 5 only the powers, unless they are too few
            powers = [pair for pair in kept if str(pair[0]).lstrip("0.").startswith("1")]
            kept = powers if len(powers) >= _FEWEST_TICKS else kept[:: -(-len(kept) // 5)]
        own.set_ticks([place for place, _ in kept], labels=[text for _, text in kept])
        own.set_minor_locator(NullLocator())
        if which == "y" or not is_log:
            own.set_tick_params(length=0)
        if which == "x" and not is_log and sum(max(map(len, text.split("\n"))) for _, text in kept) > 45:
            axes.tick_params(axis="x", rotation=30)
            for label in axes.get_xticklabels():
                label.set_horizontalalignment("right")
        return
    if is_log:
        own.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}{suffix}"))
        return
    most = int(given.get("nticks") or 6)
    locator: Any = MaxNLocator(nbins=max(2, most - 1), steps=[1, 2, 2.5, 5, 10], min_n_ticks=_FEWEST_TICKS)
    if given.get("dtick") is not None:
        locator = MultipleLocator(float(given["dtick"]))
    own.set_major_locator(locator)
    is_parted = bool(given.get("separatethousands"))

    def written(value: float, _: Any) -> str:
        ticks = own.get_majorticklocs()
        step = abs(ticks[1] - ticks[0]) if len(ticks) > 1 else 1.0
        decimals = next((digits for digits in range(8) if abs(round(step, digits) - step) < 1e-9 * max(step, 1e-9)), 8)
        text = f"{value:,.{decimals}f}" if is_parted or abs(value) >= 10_000 else f"{value:.{decimals}f}"
        return f"{text.replace('-', '−') if float(text.replace(',', '')) else text.lstrip('-')}{suffix}"

    own.set_major_formatter(FuncFormatter(written))
