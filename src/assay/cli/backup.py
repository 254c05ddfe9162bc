"""assay backup"""

from __future__ import annotations

from pathlib import Path

import click

from ..numerals import counted
from .main import EXIT_BAD_INPUT, EXIT_DONE
from .options import json_option, print_json, store_option


@click.command("backup")
@click.argument("dest", type=click.Path(path_type=Path))
@store_option
@json_option
def command(dest: Path, store: Path | None, as_json: bool) -> int:
    """Copy a store to the folder DEST, also while runs go on. The copy is a store.

    The database is copied as of one moment, and the hashes of its weights are verified. If DEST exists already, it is
    brought up to date: only new content is copied.
    """
    from ..store import back_up, default_folder

    folder = store if store is not None else default_folder()
    backup = back_up(folder, dest)
    if as_json:
        print_json(
            {
                "weights": backup.num_weights,
                "copied": backup.num_copied,
                "bytes": backup.num_bytes,
                "lost": list(backup.faults),
            }
        )
    else:
        size = f"{counted(backup.num_copied, 'file')} copied, {backup.num_bytes / 2**20:.1f} MiB"
        weights = counted(backup.num_weights, "file of weights", "files of weights")
        click.echo(f"{dest} holds {folder}: its database and {weights}, each verified ({size}).")
        for path in backup.faults:
            fix = f"run its study again, which trains the run anew, or see assay doctor {folder}"
            click.echo(f"!! {folder / path} is not what was written, and is not in the backup; {fix}.", err=True)
    return EXIT_BAD_INPUT if backup.faults else EXIT_DONE
