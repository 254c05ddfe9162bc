"""Imports point downward only: a package imports from packages above its own, and files never in a circle."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import assay

SOURCE = Path(assay.__file__).parent
ORDER = (
    "errors", "extras", "seeds", "colours", "markup", "numerals", "disk", "system", "energy", "spec", "stats", "data",
    "nets", "measures", "train", "explain", "store", "prediction", "export", "convert", "capturing", "analysis",
    "runner", "search", "tracking", "report", "judging", "studies", "starting", "results", "classifier", "api",
    "documents", "web", "cli", "__init__", "__main__",
)  # fmt: skip


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Modules of ours that a file imports, as dotted names below ``assay``."""
    here = path.relative_to(SOURCE).with_suffix("").parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = ["assay", *here[: len(here) - node.level]] if node.level else []
            full = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            if full == "assay":
                found |= {alias.name for alias in node.names}
            elif full.startswith("assay."):
                package = SOURCE.joinpath(*full.split(".")[1:])
                places = {a.name: (package / f"{a.name}.py", package / a.name / "__init__.py") for a in node.names}
                below = {name for name, files in places.items() if any(file.exists() for file in files)}
                found |= {f"{full}.{name}".removeprefix("assay.") for name in below}
                if len(below) < len(node.names):
                    found.add(full.removeprefix("assay."))
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("assay.") for alias in node.names if alias.name.startswith("assay.")}
    return found


def files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def test_every_package_has_its_place() -> None:
    assert {module_name(path).split(".")[0] for path in files()} <= set(ORDER)


def test_packages_import_only_from_above() -> None:
    offenders = [
        f"{path.relative_to(SOURCE)} imports {name}"
        for path in files()
        for name in imports(path)
        if ORDER.index(name.split(".")[0]) > ORDER.index(module_name(path).split(".")[0])
    ]
    assert offenders == []


def test_no_circles() -> None:
    graph = {module_name(path): imports(path) - {module_name(path)} for path in files()}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
    assert len(order) >= len(graph)


def test_analysis_knows_neither_pictures_nor_pages_nor_terminals() -> None:
    """It reads the store's records and ``stats``, and gives frozen values; how these are shown is decided above it."""
    below = {"errors", "markup", "numerals", "spec", "stats", "measures", "store", "analysis"}
    offenders = [
        f"{path.relative_to(SOURCE)} imports {name}"
        for path in files()
        if module_name(path).startswith("analysis")
        for name in imports(path)
        if name.split(".")[0] not in below
    ]
    assert offenders == []
    shown_by = {"plotly", "matplotlib", "html", "jinja2", "rich", "click", "sqlite3", "torch"}
    libraries = {
        (path.name, alias)
        for path in (SOURCE / "analysis").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
    }
    assert {(name, library) for name, library in libraries if library.split(".")[0] in shown_by} == set()
