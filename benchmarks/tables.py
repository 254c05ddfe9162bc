"""What every table of the report needs."""

from __future__ import annotations

from samples import Raw


def head(*names: str) -> list[str]:
    """The two first lines of a Markdown table."""
    return ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]


def verdict(raw: Raw, is_met: bool) -> str:
    """Whether a goal is met; nothing where the benchmark was only tried out."""
    return "" if raw["is_smoke"] else "met" if is_met else "**missed**"


def percent(share: float, decimals: int = 0) -> str:
    """``82 %``."""
    return f"{100 * share:.{decimals}f} %"
