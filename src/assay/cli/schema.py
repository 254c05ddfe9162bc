"""assay schema"""

from __future__ import annotations

import click

from .options import json_option, print_json


@click.command("schema")
@json_option
def command(as_json: bool) -> None:
    """Print a JSON Schema of study files. Editors use it to complete and check them."""
    from ..spec import json_schema

    print_json(json_schema())  # it is JSON either way
