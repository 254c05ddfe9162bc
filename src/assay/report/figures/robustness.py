"""Accuracy against severity: a line with its band for each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from ...analysis.robustness import Robustness
from ...stats import mean_bands
from ..palette import ArmStyle
from .frame import FEWEST_FOR_BANDS, axis, layout_of, percents, plain


def severity_curves(robustness: Robustness, styles: Mapping[str, ArmStyle], names: Sequence[str]) -> go.Figure:
    """Mean accuracy over these corruptions after each severity, with 95 % intervals over three seeds or more; 0 is
    without any.

    Args:
        robustness: Of a study.
        styles: Each arm's look.
        names: The corruptions.
    """
    places = [robustness.corruptions.index(name) for name in names]
    severities = [0, *robustness.severities]
    figure = go.Figure()
    for arm in robustness.arms:
        style = styles[arm.arm]
        scores = np.hstack([arm.clean[:, None], arm.scores[:, places].mean(1)])
        mean, low, high = mean_bands(scores)
        has_band = len(arm.seeds) >= FEWEST_FOR_BANDS
        if has_band:
            figure.add_scatter(
                x=[*severities, *reversed(severities)],
                y=percents([*high.clip(0, 1), *reversed(low.clip(0, 1))]),
                mode="lines",
                line={"width": 0},
                fill="toself",
                fillcolor=style.band,
                hoverinfo="skip",
                name=f"{plain(arm.arm)}, 95 % interval",
                meta={"arm": arm.arm, "kind": "band"},
            )
        texts = [f"{100 * a:.2f} to {100 * b:.2f}, n = {len(arm.seeds)}" for a, b in zip(low, high, strict=True)]
        figure.add_scatter(
            x=severities,
            y=percents(mean),
            mode="lines+markers",
            line={"color": style.colour, "width": 2.4, "dash": style.dash},
            marker={"color": style.colour, "symbol": style.symbol, "size": 7},
            customdata=texts if has_band else [f"n = {len(arm.seeds)}"] * len(severities),
            hovertemplate="severity %{x}: %{y:.2f} % (%{customdata})<extra>%{fullData.name}</extra>",
            cliponaxis=False,
            name=plain(arm.arm),
            meta={"arm": arm.arm, "kind": "mean"},
        )
    figure.update_layout(
        **layout_of(height=230, margin={"l": 8, "r": 12, "t": 10, "b": 8}),
        xaxis=axis(title="severity", range=[-0.3, severities[-1] + 0.3], dtick=1),
        yaxis=axis(ticksuffix=" %", nticks=5),
    )
    return figure
