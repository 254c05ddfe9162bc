"""Score against the number of training images: every seed, the fitted curve and its band, for each network."""

from __future__ import annotations

import plotly.graph_objects as go

from ...analysis.learning import LearningCurves, drawn_at
from ..palette import PALETTE
from .frame import axis, layout_of, plain


def images_curve(curves: LearningCurves) -> go.Figure:
    """One colour for each network; beyond the largest size that was trained on, lines are dashed."""
    unit = curves.measure.unit
    figure = go.Figure()
    for number, one in enumerate(curves.curves):
        style, name = PALETTE[number % len(PALETTE)], plain(one.label or curves.study)
        seen = [(size.images, score) for size in one.sizes for score in size.scores]
        if one.curve is not None:
            places = drawn_at(one)
            low, middle, high = unit.scale * one.curve.band(places)
            figure.add_scatter(
                x=[*places, *places[::-1]], y=[*high, *low[::-1]], mode="lines", line={"width": 0}, fill="toself",
                fillcolor=style.band, hoverinfo="skip", name=f"{name}, 95 % band",
            )  # fmt: skip
            texts = [f"{a:.{unit.decimals}f} to {b:.{unit.decimals}f}" for a, b in zip(low, high, strict=True)]
            for is_beyond in (False, True):
                part = places >= one.largest if is_beyond else places <= one.largest * 1.05
                figure.add_scatter(
                    x=places[part], y=middle[part], mode="lines",
                    line={"color": style.colour, "width": 2.4, "dash": "dash" if is_beyond else "solid"},
                    customdata=[text for text, is_in in zip(texts, part, strict=True) if is_in],
                    hovertemplate="%{x:,.0f} images a class: %{y:.2f} (%{customdata})<extra>%{fullData.name}</extra>",
                    name=name,
                )  # fmt: skip
        figure.add_scatter(
            x=[images for images, _ in seen], y=[unit.scale * score for _, score in seen], mode="markers",
            marker={"color": style.colour, "symbol": style.symbol, "size": 6, "opacity": 0.75},
            hovertemplate="%{x:,.0f} images a class: %{y:.2f}<extra>%{fullData.name}, one seed</extra>", name=name,
        )  # fmt: skip
    figure.update_layout(
        **{**layout_of(height=360, margin={"l": 8, "r": 12, "t": 10, "b": 8}), "showlegend": len(curves.curves) > 1},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "itemclick": False},
        xaxis=axis(title="training images a class", type="log", dtick=1 if _is_wide(curves) else "D2"),
        yaxis=axis(title=f"validation {curves.measure.label}", ticksuffix=unit.suffix, nticks=6),
    )
    for trace in figure.data:
        trace.showlegend = bool(trace.mode == "markers")
    return figure


def _is_wide(curves: LearningCurves) -> bool:
    sizes = [size.images for one in curves.curves for size in one.sizes]
    return max(sizes) > 100 * min(sizes)
