"""The same options, data and seed give the same bytes, whoever runs them, where and when.

A run is made again by `mbexport rebuild` in circumstances that differ in everything that must not matter.
"""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from delivered import beside, repeating

from mbexport.bundles.registry import platform_names
from mbexport.models.data.open import open_data

pytestmark = pytest.mark.run
PLACE = "qzplace"  # part of every path of the first run, and of nothing else
SHORT = 3  # letters: a host called "vm" is a word of many files
TINY = ("--alpha", "0.1", "--resolution", "32", "--epochs", "1", "--qat-steps", "3", "--int8", "--keep", "auto:1")
# Runs start in folders of their own.
PLACES = (Path(path).resolve() for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path)
PYTHONPATH = os.pathsep.join(map(str, PLACES))
# Options that a manifest does not record: `rebuild` gives other values, or none.
ASIDE = (
    *("--no-sensitivity", "--no-latency", "--threads", "2", "--gate", "agreement=0.1", "--no-resume"),
    *("--cache", "cache", "--status", "status.json"),
)
PACKED = (".aar", ".jar", ".zip", ".rgb", ".out")  # in which any two letters come up by chance
PROOF = ("manifest.json", "provenance.intoto.json", "sbom.cdx.json")
DELIVERED = {"fp32.tflite", "int8.tflite", "fp32.onnx", "int8.onnx", "ranges.json"}
TIME = re.compile(rb"20[0-9]{2}[-/:.][01][0-9][-/:.][0-3][0-9]|[0-2][0-9]:[0-5][0-9]:[0-5][0-9]")


def write_photos(root: Path, *, is_reversed: bool, changed_s: float) -> None:
    """Some digits as files, one folder a class, written forwards or backwards and said to be of that time."""
    images = open_data("digits").evaluation(0)
    for index in sorted(range(60), reverse=is_reversed):
        file = root / str(images.labels[index]) / f"{index:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        images.read(index).save(file)
        os.utime(file, (changed_s, changed_s))


def start(words: list[str], *, cwd: Path, umask: int, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`mbexport WORDS` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "mbexport", *words],
        env={**os.environ, "PYTHONPATH": PYTHONPATH, **environment},
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        umask=umask,
    )


def made_twice(root: Path, command: str, *words: str, model: Path | None = None) -> tuple[Path, Path]:
    """The folders of a run and of its repetition, which `mbexport rebuild --check` found equal."""
    one, other = root / PLACE, root / "elsewhere" / "deeper"
    for folder in (one, other):
        (folder / "tmp").mkdir(parents=True)
    write_photos(one / "photos", is_reversed=False, changed_s=1e9)
    write_photos(root / "moved" / "photos", is_reversed=True, changed_s=time.time())
    first = start(
        [command, *words, *(["--model", str(model)] if model else []), "--data", "photos", "--out", "out"],
        cwd=one,
        umask=0o022,
        PYTHONHASHSEED="1",
        TMPDIR=str(one / "tmp"),
        TZ="UTC",
        LC_ALL="C",
        HOME=str(one),
    )
    assert first.returncode in (0, 1), first.stderr
    moved = ["--data", str(root / "moved" / "photos"), *(["--model", str(model)] if model else [])]
    second = start(
        ["rebuild", "--check", f"../../{PLACE}/out/manifest.json", *moved, "--keep", str(other / "again")],
        cwd=other,
        umask=0o077,
        PYTHONHASHSEED="4242",
        TMPDIR=str(other / "tmp"),
        TZ="Pacific/Auckland",
        LC_ALL="C.UTF-8",
        HOME=str(other),
    )
    assert second.returncode == 0, second.stdout + second.stderr
    left = {path.name for path in (other / "tmp").iterdir()}
    assert left <= {".ses"}  # onnxruntime writes that one, whoever imports it
    return one / "out", other / "again"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A small network of somebody's; what it answers does not matter here."""
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    image = layers.Input((16, 16, 3))
    x = layers.ReLU(6.0)(layers.Conv2D(8, 3, strides=2, padding="same", name="stem")(image))
    x = layers.ReLU()(layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Reshape((10,))(layers.Conv2D(10, 1, name="head")(x))
    file = tmp_path_factory.mktemp("model") / "net.h5"
    tf_keras.Model(image, layers.Softmax()(x)).save(file)
    return file


@pytest.fixture(scope="module")
def exported_twice(model, tmp_path_factory) -> tuple[Path, Path]:
    return made_twice(tmp_path_factory.mktemp("twice"), "export", "--int8", *ASIDE, model=model)


def test_export_repeats_every_byte(exported_twice):
    one, other = map(repeating, exported_twice)
    assert set(beside(one)) == {"labels.txt", *(f"net_{kind}" for kind in DELIVERED)}
    assert {name.split("/")[0] for name in one} - set(beside(one)) == {"golden", *platform_names()}
    assert one == other


def test_every_file_is_as_the_manifest_lists_it(exported_twice, cli):
    done = cli("bundle", "--check", exported_twice[0])
    assert (done.returncode, done.stdout) == (0, "SOUND: every byte is as listed\n")


def test_no_deliverable_tells_of_a_place_a_host_or_a_time(exported_twice):
    host = socket.gethostname()
    secrets = [PLACE, str(Path.home()), "/tmp", *([host] if len(host) > SHORT else [])]
    proof = {name: (exported_twice[0] / name).read_bytes() for name in PROOF}
    for name, content in {**repeating(exported_twice[0]), **proof}.items():
        if name.endswith(PACKED):  # what is in them lies beside them, too
            continue
        for secret in secrets:
            assert secret.encode() not in content, (name, secret)
        assert name == "sbom.cdx.json" or not TIME.search(content), name  # there are versions that are dates


@pytest.mark.slow
def test_build_repeats_every_byte(tmp_path):
    bundles = (
        "--zip",
        "--android-package",
        "com.example.digits",
        "--android-runtime",
        "litert1",
        "--bundle-name",
        "digits",
        "--bundle-version",
        "1.2.3",
    )
    one, other = map(repeating, made_twice(tmp_path, "build", *TINY, *ASIDE, *bundles, "--keras", "--log-dir", "logs"))
    made = {".h5", *(f"_{kind}" for kind in DELIVERED), *(f"-{each}.zip" for each in platform_names())}
    assert set(beside(one)) == {"labels.txt", *(f"mobilenet_v1_0.1_32{kind}" for kind in made)}
    assert one == other
