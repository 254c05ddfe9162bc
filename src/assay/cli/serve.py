"""assay serve"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from .options import json_option, print_json, store_option


@click.command("serve")
@store_option
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 is every address."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="The port; 0 takes a free one."
)
@click.option("--open", "opens", is_flag=True, help="Open the page in a browser.")
@click.option("--allow-run", is_flag=True, help="Let the page start and stop training. Otherwise it only reads.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Serve with TLS: the certificate, as PEM.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="The key, if it is in another file.")
@click.option("--insecure", is_flag=True, help="Allow --allow-run on a network without TLS.")
@json_option
def command(
    store: Path | None,
    host: str,
    port: int,
    opens: bool,
    allow_run: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    insecure: bool,
    as_json: bool,
) -> None:
    """Show the store's studies in a browser, live while they train, and ask their networks.

    The page loads nothing from other machines. On any address but this machine's own it asks for a token, which is part
    of the printed link. Ctrl-C stops the server and nothing else.
    """
    if tls_key is not None and tls_cert is None:
        raise click.UsageError("--tls-key needs --tls-cert.")
    from ..store import default_folder
    from ..web import Certificate, serve

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("assay.web").setLevel(logging.INFO)

    def on_ready(url: str) -> None:
        if as_json:
            print_json({"url": url})
        else:
            click.echo(f"Serving {folder} at {url} (Ctrl-C stops it)")
        if "?token=" in url:
            who = "whoever has this link can read the store and ask its networks"
            plain = "" if tls_cert else "; without TLS, so can whoever listens on the network"
            click.echo(f"note: {who}{plain}. From another machine, name this one in it instead.", err=True)
        sys.stdout.flush()
        if opens:
            import webbrowser

            webbrowser.open(url)

    folder = store if store is not None else default_folder()
    tls = Certificate(tls_cert, tls_key) if tls_cert else None
    serve(folder, host=host, port=port, allow_run=allow_run, tls=tls, is_insecure=insecure, on_ready=on_ready)
