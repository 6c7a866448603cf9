"""The server of the demo: one folder, for this machine's browsers, with the types that they ask for."""

import http.client
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mbexport.bundles.web.server import FolderServer, has_runtime, web_folder
from mbexport.errors import DataError, OptionError

SECRET = b"secret"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A bundle's folder beside a file that is none of its own."""
    folder = tmp_path / "out" / "web"
    files = {
        "demo/index.html": b"<p>",
        "src/a.js": b"1",
        "wasm/b.wasm": b"\0asm",
        "x/c.css": b"",
        "model/d.tflite": b"T",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (tmp_path / "out" / "secret").write_bytes(SECRET)
    (folder / "link").symlink_to(tmp_path / "out" / "secret")
    (folder / "away").symlink_to(tmp_path / "out")
    return folder


@pytest.fixture
def server(folder):
    with FolderServer(folder, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, path, *, method="GET", host=None):
    """Status, headers and content of what the server answers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
        connection.endheaders()
        found = connection.getresponse()
        return found.status, dict(found.headers), found.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "kind", "content"),
    [
        ("/demo/", "text/html; charset=utf-8", b"<p>"),
        ("/demo/?a=1#b", "text/html; charset=utf-8", b"<p>"),
        ("/src/a.js", "text/javascript; charset=utf-8", b"1"),
        ("/src/%61.js", "text/javascript; charset=utf-8", b"1"),
        ("/wasm/b.wasm", "application/wasm", b"\0asm"),
        ("/x/c.css", "text/css; charset=utf-8", b""),
        ("/model/d.tflite", "application/octet-stream", b"T"),
    ],
)
def test_files_have_the_types_that_browsers_ask_for(server, path, kind, content):
    status, headers, found = ask(server, path)
    assert (status, headers["Content-Type"], found) == (200, kind, content)
    assert headers["X-Content-Type-Options"] == "nosniff"
    status, headers, found = ask(server, path, method="HEAD")
    assert (status, headers["Content-Length"], found) == (200, str(len(content)), b"")


def test_the_root_leads_to_the_page(server, folder):
    status, headers, _ = ask(server, "/")
    assert (status, headers["Location"]) == (302, "/demo/")
    assert server.url == f"http://127.0.0.1:{server.server_port}/demo/"
    assert server.server_address[0] == "127.0.0.1"


OUTSIDE = (
    "/../secret",
    "/%2e%2e/secret",
    "/demo/..%2f..%2fsecret",
    "/..%5csecret",
    "//secret",
    "/link",
    "/away/secret",
)


@pytest.mark.parametrize("path", [*OUTSIDE, "/nothing", "/demo", "/%00", "/%ff", "/" + "a" * 5000])
def test_nothing_else_is_served(server, path):
    status, _, content = ask(server, path)
    assert (status, content) == (404, b"")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["..", ".", "", "%2e%2e", "demo", "away", "link", "secret", "%2f", "\\"]), max_size=6))
@example(["away", "secret"])
def test_no_path_leads_out_of_the_folder(server, parts):
    _, _, content = ask(server, "/" + "/".join(parts))
    assert content in (b"", b"<p>")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "evil.example:8000", "127.0.0.1:1"])
def test_a_page_of_another_name_gets_nothing(server, host):
    """Whose name was made to lead to this machine (DNS rebinding)."""
    assert ask(server, "/demo/", host=host)[0] == 421
    assert ask(server, "/demo/", host=f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(server, method):
    assert ask(server, "/demo/index.html", method=method)[0] == 501


def test_the_folder_is_the_bundle_or_holds_it(folder):
    assert web_folder(folder) == web_folder(folder.parent) == folder
    with pytest.raises(
        DataError, match=r"must be a web bundle, .*, got .*demo; `mbexport bundle .*demo --platform web`"
    ):
        web_folder(folder / "demo")


def test_the_runtime_is_where_npm_puts_it(folder):
    assert not has_runtime(folder)
    place = folder / "node_modules" / "@litertjs" / "core"
    place.mkdir(parents=True)
    (place / "package.json").write_bytes(b"{}")
    assert has_runtime(folder)


def test_a_port_that_is_taken_is_named(server, folder):
    with pytest.raises(OptionError, match=f"--port must be .*, got {server.server_port}: .*; --port 0 takes any"):
        FolderServer(folder, port=server.server_port)
