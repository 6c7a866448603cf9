"""`mbexport demo`: the demo page of a web bundle, in the browsers of this machine."""

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mbexport.commands import options
from mbexport.commands.config import config
from mbexport.commands.options import Group
from mbexport.errors import EXIT_DONE
from mbexport.escaping.terminal import visible
from mbexport.progress import last_signal

if TYPE_CHECKING:
    from mbexport.bundles.web.server import FolderServer

_EXAMPLES = """\b
Examples:
  mbexport demo dist/mobilenet_v1_0.75_224/web
  mbexport demo my-copy-of-web --port 0
"""
_PORT: Final = 8000
_LARGEST_PORT: Final = 65535


@options.command("demo", epilog=_EXAMPLES)
@click.argument("folder", metavar="DIR", type=options.PATH)
@options.option(
    "--port",
    group=Group.COMMON,
    type=click.IntRange(0, _LARGEST_PORT),
    default=_PORT,
    metavar="N",
    help="Port of the page's address; 0 takes any that is free.",
)
@config
def command(*, folder: Path, port: int) -> int:
    """Serve the demo page of the web bundle in DIR, or in DIR/web, to this machine's browsers.

    The page classifies photos, or finds objects in them, and does so with a camera, too. It needs no network once
    `npm install` was run beside its package.json. Nothing but this folder is served, at 127.0.0.1 alone. Ctrl-C ends
    it.
    """
    from mbexport.bundles.web.server import FolderServer, has_runtime, web_folder

    found = web_folder(folder)
    with FolderServer(found, port=port) as server:
        if not has_runtime(found):
            click.echo(visible(f"The runtime is not installed: run `npm install` in {found}"), err=True)
        click.echo(visible(server.url))
        click.echo("Ctrl-C ends it.", err=True)
        _serve(server)
    return EXIT_DONE


def _serve(server: "FolderServer") -> None:
    """Serve until Ctrl-C, which is how this command ends; any other signal is an interrupt."""
    thread = threading.Thread(target=server.serve_forever, name="demo", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(1)
    except KeyboardInterrupt:
        if last_signal() != signal.SIGINT:
            raise
    finally:
        server.shutdown()
