"""The figure of class counts."""

from __future__ import annotations

import plotly.graph_objects as go

from ..inputs import Gallery
from .frame import axis, layout_of, plain


def class_counts(gallery: Gallery) -> go.Figure:
    """Images of each class in the training split, as bars."""
    names = [plain(name) for name in gallery.class_names]
    figure = go.Figure()
    figure.add_bar(
        x=list(gallery.training_counts),
        y=list(range(len(names))),
        orientation="h",
        marker={"color": "#56B4E9"},
        customdata=names,
        hovertemplate="%{customdata}: %{x:,}<extra></extra>",
        name="training images",
    )
    figure.update_layout(
        **layout_of(height=70 + 24 * len(names), margin={"l": 8, "r": 16, "t": 8, "b": 8}),
        bargap=0.3,
        xaxis=axis(title="training images", nticks=5, rangemode="tozero", separatethousands=True),
        yaxis=axis(tickvals=list(range(len(names))), ticktext=names, showgrid=False, autorange="reversed"),
    )
    return figure
