"""Execute the example notebooks and store their outputs: python examples/execute.py [NAME.ipynb ...]

Each runs in an empty folder, with a store of its own. What belongs to the machine is taken out of the outputs: paths,
times, and when cells ran.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbclient
import nbformat

HERE = Path(__file__).parent
SECONDS = 600
_TIME = re.compile(r"(?<![\w.#%-])(?:\d+ (?:h|min) )?\d[\d.,]* ?(?:µs|ms|s|min|h)(?:/step)?(?![\w/%-])")
_PICTURE = re.compile(r"(data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+)")


def executed(path: Path, folder: Path, **options: Any) -> Any:
    """The notebook with the outputs of its cells, run from top to bottom in a folder."""
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbclient.NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--log-level=ERROR"],
        **options,
    ).execute()
    return notebook


def clean(notebook: Any, folder: Path) -> Any:
    """The same without what belongs to the machine."""
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            for holder, key in [(output, "text"), *((output.get("data", {}), kind) for kind in output.get("data", {}))]:
                if isinstance(holder.get(key), str) and not key.startswith("image/"):
                    holder[key] = _without_machine(holder[key], folder)
            if output.output_type in ("display_data", "execute_result"):
                output.metadata = {}
    return notebook


def _without_machine(text: str, folder: Path) -> str:
    for place in {str(folder.resolve()), str(folder)}:
        text = text.replace(f"file://{place}/", "").replace(f"{place}/", "").replace(place, ".")
    parts = _PICTURE.split(text)
    parts[::2] = [_TIME.sub("… s", part) for part in parts[::2]]  # every other one is a picture's bytes
    return "".join(parts)


def main(names: list[str]) -> None:
    for path in [HERE / name for name in names] or sorted(HERE.glob("*.ipynb")):
        with tempfile.TemporaryDirectory(prefix="assay-example-") as folder:
            notebook = clean(executed(path, Path(folder)), Path(folder))
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
