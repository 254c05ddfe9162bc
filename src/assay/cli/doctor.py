"""assay doctor"""

from __future__ import annotations

import os
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from ..numerals import counted
from .main import EXIT_BAD_INPUT, EXIT_DONE
from .options import json_option, print_json, store_option
from .tables import print_table


@click.command("doctor")
@click.argument("checked", metavar="[STORE]", required=False, type=click.Path(path_type=Path))
@click.option("--repair", "mends", is_flag=True, help="Mend STORE as far as possible, and list what was done.")
@store_option
@json_option
def command(checked: Path | None, mends: bool, store: Path | None, as_json: bool) -> int:
    """Check this machine and installation: versions, cores, bfloat16, CUDA, data, write access.

    With STORE, check a store instead: its database (SQLite's own check), a checksum of every row, the hash of every
    file of weights, and leftover files. --repair mends what can be mended and keeps the old database in the store's
    folder repairs.
    """
    if checked is None and mends:
        raise click.UsageError("--repair needs the store's folder: assay doctor STORE --repair.")
    if checked is not None:
        from .doctor_store import check_store, mend_store

        return mend_store(checked, as_json) if mends else check_store(checked, as_json)
    checks = _checks(store)
    if as_json:
        print_json([dict(zip(("check", "found", "fine", "advice"), check, strict=True)) for check in checks])
    else:
        rows = [
            ["ok" if is_fine else "!!", name, result, "" if is_fine else advice]
            for name, result, is_fine, advice in checks
        ]
        print_table(["", "check", "found", "advice"], rows)
    return EXIT_DONE if all(is_fine for _, _, is_fine, _ in checks) else EXIT_BAD_INPUT


LIBRARIES = ("llvmlite", "numba", "scipy", "plotly")


def _bfloat16() -> str:
    """How the processor multiplies it."""
    from ..train.device import has_bfloat16
    from ..train.fused import tiles

    if tiles.how() == "amx":
        return "in hardware, in AMX tiles"
    return "in hardware" if has_bfloat16() else "not in hardware: float32 is used"


def _checks(store: Path | None) -> list[tuple[str, str, bool, str]]:
    import psutil

    from ..data import is_available, known, raw_folder
    from ..energy import energy_source
    from ..store import default_folder
    from ..system import num_cores
    from ..train.device import environment, processor

    machine: dict[str, Any] = environment(threads=1)
    memory = psutil.virtual_memory()
    checks = [
        ("versions", ", ".join(f"{name} {number}" for name, number in machine["versions"].items()), True, ""),
        ("libraries", ", ".join(f"{name} {_version(name)}" for name in LIBRARIES), True, ""),
        ("extras", _extras(), True, ""),
        ("processor", f"{processor()[0]}, {counted(num_cores(), 'core')}", True, ""),
        ("bfloat16", _bfloat16(), True, ""),
        ("memory", f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free", memory.available > 2**30,
         "close other programs: a worker needs about 0.5 GiB"),
        ("CUDA device", _cuda_device(), True, ""),
        ("energy", energy_source().description, True, ""),
    ]  # fmt: skip
    here = [name for name in known() if is_available(name)]
    checks.append(("data", ", ".join(here), True, ""))
    for label, folder in (("data folder", raw_folder("")), ("store", store or default_folder())):
        is_fine, note = _writable(folder)
        checks.append((label, note, is_fine, "choose another with ASSAY_DATA or --store, or change its permissions"))
    return checks


def _extras() -> str:
    """Which extras are whole, and which lack a package."""
    from ..extras import EXTRAS, has

    lacking = [extra for extra, packages in EXTRAS.items() if not all(map(has, packages))]
    here = ", ".join(extra for extra in EXTRAS if extra not in lacking) or "none"
    return f"{here}; not installed: {', '.join(lacking)}" if lacking else here


def _cuda_device() -> str:
    import torch

    from ..train.device import why_no_cuda

    if reason := why_no_cuda():
        return f"none ({reason}): runs go to the processor"
    free, total = torch.cuda.mem_get_info()
    memory = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    return f'{torch.cuda.get_device_name()}, {memory}: used by studies with device = "cuda" or "auto"'


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _writable(folder: Path) -> tuple[bool, str]:
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return False, f"{folder} cannot be written ({error.strerror or os.strerror(error.errno or 0)})"
    return True, f"{folder} (writable)"
