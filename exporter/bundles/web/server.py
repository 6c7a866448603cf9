"""Serve one folder to the browsers of this machine: the demo page of a web bundle, without a network."""

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from mbexport.errors import DataError, OptionError
from mbexport.files import Folder, is_inside

HOST: Final = "127.0.0.1"
PAGE: Final = "demo/"
_INDEX: Final = "index.html"
_RUNTIME: Final = "node_modules/@litertjs/core/package.json"
# A table of our own: those of systems differ, and browsers refuse modules and WebAssembly of another type.
_TYPES: Final = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".mjs": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".wasm": "application/wasm",
        ".md": "text/plain; charset=utf-8",
    }
)
_OTHER: Final = "application/octet-stream"
_HEADERS: Final = MappingProxyType(
    {
        "Cache-Control": "no-cache",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
)


def web_folder(given: Path) -> Path:
    """The folder of the web bundle that `given` is, or holds as `web`. Raises `DataError` if there is none."""
    found = next((each for each in (given, given / "web") if (each / PAGE / _INDEX).is_file()), None)
    if found is None:
        raise DataError(
            f"DIR must be a web bundle, or an output folder with one, got {given}; "
            f"`mbexport bundle {given} --platform web` makes one"
        )
    return found


def has_runtime(folder: Path) -> bool:
    """Whether npm has installed the runtime of the web bundle in `folder`."""
    return (folder / _RUNTIME).is_file()


class FolderServer(ThreadingHTTPServer):
    """A server of the files in `folder`, by no link, to this machine alone; port 0 takes any that is free.

    Raises `OptionError` for a port that cannot be had.
    """

    daemon_threads = True

    def __init__(self, folder: Path, *, port: int) -> None:
        self.folder = Folder(folder)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise OptionError(
                f"--port must be one that can be had, got {port}: {error.strerror}; --port 0 takes any that is free"
            ) from None

    @property
    def url(self) -> str:
        """The address of the demo page."""
        return f"http://{HOST}:{self.server_port}/{PAGE}"

    def names(self) -> tuple[str, ...]:
        """What browsers of this machine call it; a page of another name that leads here is refused."""
        return f"{HOST}:{self.server_port}", f"localhost:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one browser."""

    server: FolderServer
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds for which a connection may wait for another question

    def do_GET(self) -> None:
        """Answer with a file."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer as to GET, without the file."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """Say nothing: the page shows what it needs."""

    def _answer(self, *, with_body: bool) -> None:
        if self.headers.get("Host") not in self.server.names():
            self._send(HTTPStatus.MISDIRECTED_REQUEST, b"", "", with_body=with_body)
            return
        name = unquote(urlsplit(self.path).path).removeprefix("/")
        if not name:
            self._send(HTTPStatus.FOUND, b"", "", with_body=with_body, Location=f"/{PAGE}")
            return
        name += _INDEX if name.endswith("/") else ""
        try:
            content = self.server.folder.read(name) if is_inside(name) else None
        except (OSError, ValueError):  # ValueError: of a name that is not UTF-8
            content = None
        if content is None:
            self._send(HTTPStatus.NOT_FOUND, b"", "", with_body=with_body)
        else:
            kind = _TYPES.get(PurePosixPath(name).suffix, _OTHER)
            self._send(HTTPStatus.OK, content, kind, with_body=with_body)

    def _send(self, status: HTTPStatus, content: bytes, kind: str, *, with_body: bool, **headers: str) -> None:
        self.send_response(status)
        for header, value in {**_HEADERS, **headers}.items():
            self.send_header(header, value)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)
