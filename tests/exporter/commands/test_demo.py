"""`mbexport demo` as a user starts and ends it."""

import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest
from golden_by_hand import app_model_by_hand

from mbexport.bundles.web.bundle import web_files
from mbexport.cli import run


@pytest.fixture
def folder(tmp_path):
    for name, content in web_files(app_model_by_hand()).items():
        (tmp_path / "web" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "web" / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_serves_the_page_until_it_is_told_to_end(folder, number, code):
    command = [sys.executable, "-m", "mbexport", "demo", str(folder), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            url = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/demo/", url)
            with urllib.request.urlopen(url, timeout=30) as page:  # our own address
                assert b'<script type="module" src="demo.js">' in page.read()
            process.send_signal(number)
            told, noise = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, told) == (code, "")
    assert f"The runtime is not installed: run `npm install` in {folder / 'web'}" in noise
    assert "Traceback" not in noise


@pytest.mark.parametrize(
    ("options", "message"),
    [(["missing"], "DIR must be a web bundle"), (["missing", "--port", "65536"], "65536 is not in the range")],
)
def test_what_cannot_be_served_is_one_line(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    assert run(["demo", *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1
