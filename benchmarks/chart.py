"""The chart: one panel for each probe, one bar for each system, drawn as SVG with nothing but strings."""

from __future__ import annotations

from html import escape

Bar = tuple[str, float, float, float, bool]  # name, median, lowest, highest, is ours

_WIDTH, _LEFT, _RIGHT = 860, 200, 190
_ROW, _HEAD, _GAP = 24, 34, 18
_OURS, _THEIRS, _TEXT, _RANGE = "#0072B2", "#B8BCC2", "#222222", "#222222"


def chart(panels: dict[str, list[Bar]]) -> str:
    """Panels by title. Each has its own scale; the number behind a bar says how many times our shortest time it is."""
    parts, top = [], 30
    parts.append(_text(12, 20, "Seconds per run for 60,000 training images: median, and range over rounds", size=14))
    for title, bars in panels.items():
        parts.append(_text(12, top + 22, title, weight="bold"))
        top += _HEAD
        longest = max(high for _, _, _, high, _ in bars)
        ours = min((middle for _, middle, _, _, is_ours in bars if is_ours), default=None)
        scale = (_WIDTH - _LEFT - _RIGHT) / longest
        for name, middle, low, high, is_ours in bars:
            centre = top + _ROW / 2
            end = _LEFT + middle * scale
            colour = _OURS if is_ours else _THEIRS
            parts.append(_text(_LEFT - 8, centre + 4, name, anchor="end"))
            parts.append(
                f'<rect x="{_LEFT}" y="{centre - 8:.1f}" width="{middle * scale:.1f}" height="16" fill="{colour}"/>'
            )
            if high > low:
                start, stop = _LEFT + low * scale, _LEFT + high * scale
                parts.append(
                    f'<path d="M{start:.1f} {centre}H{stop:.1f}M{start:.1f} {centre - 4}v8M{stop:.1f} {centre - 4}v8" '
                    f'stroke="{_RANGE}" fill="none"/>'
                )
            times = f", {middle / ours:.1f} times" if ours and middle > ours else ""
            parts.append(_text(max(end, _LEFT + high * scale) + 8, centre + 4, f"{middle:.2f} s{times}"))
            top += _ROW
        top += _GAP
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{_TEXT}">\n'
        f'<rect width="{_WIDTH}" height="{top}" fill="white"/>\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, words: str, *, anchor: str = "start", weight: str = "normal", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}">'
        f"{escape(words)}</text>"
    )
