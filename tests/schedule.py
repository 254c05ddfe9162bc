"""Which test files pytest-xdist starts first, and what one process gets alone."""

from __future__ import annotations

from typing import Any

import pytest

# The files that take longest, longest first: started last, one of them would keep one core busy and the other idle.
_LONGEST = (
    "tests/train/fused/test_bfloat16.py",
    "tests/train/fused/test_gradients.py",
    "tests/cli/test_cli.py",
    "tests/runner/test_resume.py",
    "tests/web/test_browser.py",
    "tests/search/test_search.py",
)


def group_of(nodeid: str) -> str:
    """Tests of one group run in one process: those of a file share its fixtures, those on Ray share one cluster."""
    file, _, test = nodeid.partition("::")
    is_on_ray = file.startswith("tests/runner/test_ray") or test.endswith("[ray]")
    return "ray" if is_on_ray else file


def rank_of(nodeid: str) -> int:
    """Position among the groups: the lower, the sooner."""
    group = group_of(nodeid)
    if group == "ray":
        return 0
    return 1 + (_LONGEST.index(group) if group in _LONGEST else len(_LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """``--dist loadfile``, with groups in place of files."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByGroup(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False  # tests are in order: see below
    return ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank_of(item.nodeid))
