"""The image of docker/Dockerfile, built without an engine, and mbexport in it, as nobody and with a root read-only."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clients.environments import ROOT, ProcessError, pip_settings, run

# Minutes of installing and training. It takes root, for name spaces and another user's files.
pytestmark = [pytest.mark.slow, pytest.mark.client, pytest.mark.timeout(3600)]

PROGRAMS = ("buildah", "debootstrap", "unshare", "setpriv")
# vfs works everywhere, and keeps a whole copy of each stage; overlay is faster, where the kernel lets it.
DRIVER = os.environ.get("STORAGE_DRIVER", "vfs")
NEEDED_BYTES = 20 << 30
NOBODY = 10001
BASE = "localhost/base"
STEM = "mobilenet_v1_0.25_64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A built image: what it says of itself, and its files, mounted."""

    config: dict[str, Any]
    layers: int
    root: Path

    def command(self, words: Sequence[str], *, out: Path, user: int = NOBODY) -> list[str]:
        """What runs `words` as the image's entry point would be, with its environment and `out` as its /work."""
        spaces = ["unshare", "--mount", "--net", "--ipc", "--pid", "--fork"]
        start = ["sh", str(Path(__file__).with_name("in_image.sh")), str(self.root), str(out), f"{user}:{user}"]
        return [*spaces, *start, *self.config["Env"], *words]


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Iterator[Image]:
    """The image on a base that debootstrap makes; skipped, with the reason, where it cannot be had."""
    folder = tmp_path_factory.mktemp("image")
    _require_all(folder)
    buildah = ["buildah", "--storage-driver", DRIVER, "--root", folder / "store", "--runroot", folder / "run"]
    try:
        _make_base(buildah, folder)
        _build(buildah, folder)
        container = run([*buildah, "from", "localhost/mbexport"], is_ours=False).strip()
        root = Path(run([*buildah, "mount", container], is_ours=False).strip())
        said = json.loads(run([*buildah, "inspect", "--type", "image", "localhost/mbexport"], is_ours=False))["OCIv1"]
        yield Image(config=said["config"], layers=len(said["rootfs"]["diff_ids"]), root=root)
    finally:
        subprocess.run([*buildah, "rm", "--all"], capture_output=True, check=False)
        subprocess.run(
            ["umount", folder / "store" / DRIVER], capture_output=True, check=False
        )  # overlay's, if it is one
        shutil.rmtree(folder)


def _require_all(folder: Path) -> None:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is missing")
    if os.geteuid() != 0:
        pytest.skip("only root makes images here")
    if shutil.disk_usage(folder).free < NEEDED_BYTES:
        pytest.skip(f"{NEEDED_BYTES >> 30} GiB are needed for the image's stages")


def _make_base(buildah: Sequence[object], folder: Path) -> None:
    """Debian with Python 3.11, in the place of the image that the Dockerfile names."""
    tree = folder / "tree"
    packages = "--include=python3,python3-venv,ca-certificates"
    try:
        run(["debootstrap", "--variant=minbase", packages, "bookworm", tree], is_ours=False)
    except ProcessError as failure:
        if "Failed getting release file" in failure.output or "Couldn't download" in failure.output:
            pytest.skip("no archive of Debian's packages answers")
        raise
    container = run([*buildah, "from", "scratch"], is_ours=False).strip()
    run([*buildah, "add", "--quiet", container, tree], is_ours=False)
    run([*buildah, "commit", "--quiet", "--rm", container, BASE], is_ours=False)
    shutil.rmtree(tree)


def _build(buildah: Sequence[object], folder: Path) -> None:
    """Runs the Dockerfile's steps. Where pip looks for packages is handed in for the build, and stays outside."""
    settings = pip_settings()
    config = folder / "pip.conf"
    config.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
    paths = {Path(word.removeprefix("file://")) for value in settings.values() for word in value.split()}
    lent = {path.parent if path.name == "simple" else path for path in paths if path.is_absolute() and path.exists()}
    volumes = [part for path in sorted(lent) for part in ("--volume", f"{path}:{path}:ro")]
    command = [*buildah, "bud", "--isolation", "chroot", "--build-arg", f"BASE={BASE}", *volumes]
    command += [
        "--secret",
        f"id=pip_conf,src={config}",
        "-f",
        ROOT / "docker" / "Dockerfile",
        "-t",
        "localhost/mbexport",
    ]
    run([*command, ROOT], is_ours=False)
    config.unlink()


@pytest.fixture
def out(tmp_path) -> Path:
    """A folder of the image's own user, to be mounted at /work."""
    folder = tmp_path / "out"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    return folder


def test_it_says_how_it_is_run(image):
    assert (image.config["User"], image.config["WorkingDir"]) == (f"{NOBODY}:{NOBODY}", "/work")
    assert (image.config["Entrypoint"], image.config["Cmd"]) == (["mbexport"], ["--help"])
    assert image.config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert image.layers == 2  # the base, and all that is ours


def test_nothing_of_its_making_is_left(image):
    for path in ("src", "etc/pip.conf", "root/.cache", "opt/mbexport/bin/pip", "root/.config/pip", "requirements.txt"):
        assert not (image.root / path).exists(), path
    said = json.dumps(image.config)
    assert [value for value in pip_settings().values() if "/" in value and value in said] == []
    (code,) = image.root.glob("opt/code/mbexport-*.dist-info")
    assert (image.root / "opt/code/mbexport/models/mobilenet_v1/spec.py").is_file()
    assert "Name: mbexport\n" in (code / "METADATA").read_text("utf-8")


def test_its_user_is_nobody_and_cannot_write(image, out):
    places = "/x /opt/x /opt/code/x /opt/mbexport/x /etc/x /usr/x /var/x /dev/x /proc/x"
    script = f"id -u; for place in {places}; do touch $place && echo $place; done; touch /tmp/x /work/x"
    script += "; grep -E '^(Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs):' /proc/self/status"
    done = subprocess.run(image.command(["sh", "-c", script], out=out), capture_output=True, text=True, check=True)

    uid, *status = done.stdout.split("\n")[:-1]
    assert uid == str(NOBODY)
    assert {line.split()[1].strip("0") for line in status} == {"", "1"}  # no capability, and no way to get one
    assert len(status) == 5
    assert done.stderr.count("Read-only file system") == 8  # /proc refuses in its own words
    assert [path.name for path in out.iterdir()] == ["x"]


def test_it_works_for_whatever_user_it_is_given(image, out):
    os.chown(out, 4242, 4242)
    command = image.command(["mbexport", "doctor"], out=out, user=4242)

    assert "everything that a build needs is here" in run(command, is_ours=False)


def test_a_build_in_it_passes_and_all_that_it_wrote_is_in_its_output(image, out):
    before = {path for path in image.root.rglob("*") if not path.is_relative_to(image.root / "proc")}
    command = image.command(["mbexport", "build", "--alpha", "0.25", "--int8"], out=out)
    printed = run(command, is_ours=False)
    checked = run(image.command(["mbexport", "bundle", "--check", f"dist/{STEM}"], out=out), is_ours=False)

    made = {path.name for path in (out / "dist" / STEM).iterdir()}
    assert printed.rstrip().endswith("PASSED"), printed
    assert "SOUND: every byte is as listed" in checked
    assert {"manifest.json", "report.html", f"{STEM}_int8.tflite", "android", "ios", "golden"} <= made
    assert {path.stat().st_uid for path in out.rglob("*")} == {NOBODY}
    assert {path for path in image.root.rglob("*") if not path.is_relative_to(image.root / "proc")} == before
