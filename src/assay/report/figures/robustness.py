"""A measure against severity: a line with its band for each arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from ...analysis.robustness import Robustness
from ...measures import Unit
from ...stats import mean_bands
from ..palette import ArmStyle
from .frame import FEWEST_FOR_BANDS, axis, layout_of, plain


def severity_curves(robustness: Robustness, styles: Mapping[str, ArmStyle], names: Sequence[str]) -> go.Figure:
    """The measure's mean over these corruptions after each severity, with 95 % intervals over three seeds or more.

    Severity 0 is without any corruption.

    Args:
        robustness: Of a study.
        styles: Each arm's look.
        names: The corruptions.
    """
    places = [robustness.corruptions.index(name) for name in names]
    severities = [0, *robustness.severities]
    unit = robustness.measure.unit
    shown = f"%{{y:.{unit.decimals}f}}{unit.suffix}"
    figure = go.Figure()
    for arm in robustness.arms:
        style = styles[arm.arm]
        scores = np.hstack([arm.clean[:, None], arm.scores[:, places].mean(1)])
        mean, low, high = mean_bands(scores)
        has_band = len(arm.seeds) >= FEWEST_FOR_BANDS
        if has_band:
            figure.add_scatter(
                x=[*severities, *reversed(severities)],
                y=_scaled(unit, [*high.clip(*arm.bounds), *reversed(low.clip(*arm.bounds))]),
                mode="lines",
                line={"width": 0},
                fill="toself",
                fillcolor=style.band,
                hoverinfo="skip",
                name=f"{plain(arm.arm)}, 95 % interval",
                meta={"arm": arm.arm, "kind": "band"},
            )
        ends = [f"{unit.number(a)} to {unit.number(b)}" for a, b in zip(low, high, strict=True)]
        texts = [f"{one}, n = {len(arm.seeds)}" for one in ends]
        figure.add_scatter(
            x=severities,
            y=_scaled(unit, mean),
            mode="lines+markers",
            line={"color": style.colour, "width": 2.4, "dash": style.dash},
            marker={"color": style.colour, "symbol": style.symbol, "size": 7},
            customdata=texts if has_band else [f"n = {len(arm.seeds)}"] * len(severities),
            hovertemplate=f"severity %{{x}}: {shown} (%{{customdata}})<extra>%{{fullData.name}}</extra>",
            cliponaxis=False,
            name=plain(arm.arm),
            meta={"arm": arm.arm, "kind": "mean"},
        )
    figure.update_layout(
        **layout_of(height=230, margin={"l": 8, "r": 12, "t": 10, "b": 8}),
        xaxis=axis(title="severity", range=[-0.3, severities[-1] + 0.3], dtick=1),
        yaxis=axis(ticksuffix=unit.suffix, nticks=5),
    )
    return figure


def _scaled(unit: Unit, values: Iterable[float]) -> list[float]:
    return [round(unit.scale * float(value), unit.decimals + 2) for value in values]
