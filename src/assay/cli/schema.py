"""assay schema"""

from __future__ import annotations

import click

from .options import json_option, print_json


@click.command("schema")
@json_option
def command(as_json: bool) -> None:
    """A JSON Schema of study files: editors complete and check with it."""
    from ..spec import json_schema

    print_json(json_schema())  # it is JSON either way
