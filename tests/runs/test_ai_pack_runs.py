"""A build for a chip delivers an AI pack; the bundle's wrapper replays golden vectors on the emulated NPU."""

import io
import json
import shutil
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from accelerated_phone import AcceleratedPhone, StandIn
from java_programs import classes_of_app, doubles, needs_java, written
from small_build import OPTIONS

from mbexport.errors import OptionError
from mbexport.formats.npu.chips import CHIPS, compiled_name, usable_chips
from mbexport.formats.npu.compile import compile_file
from mbexport.formats.path_runner import PathProcess

pytestmark = pytest.mark.run

STEM = "mobilenet_v1_0.25_32"
MODEL = f"{STEM}_int8.tflite"
CHIP = CHIPS[3]
PACKAGE = "com.acme.flowers"
PACK = "android/ai_packs/com_acme_flowers"


class EmulatedNpu(StandIn):
    """Qualcomm's emulator, with the graph that was compiled for the chip, in a process of its own."""

    def __init__(self, content: bytes, graph: Path) -> None:
        super().__init__(content)
        self._process = PathProcess(graph, f"qnn-htp:{CHIP.hexagon}")

    def compute(self, signature: str, name: str, fed: bytes, wanted: list[str]) -> list[bytes]:
        (found,) = self._process.invoke(np.frombuffer(fed, np.uint8).reshape(1, 32, 32, 3))
        return [found.tobytes()]

    def close(self) -> None:
        """Ends the emulator."""
        self._process.close()


@pytest.fixture(scope="module")
def finished(small_build, tmp_path_factory, cli):
    """A build for one chip, whose other stages are those of the shared build."""
    try:
        usable_chips([str(CHIP)])
    except OptionError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("finished") / "out"
    shutil.copytree(small_build, folder)
    options = ("--npu", CHIP, "--npu-images", "4", "--no-latency", "--android-package", PACKAGE)
    done = cli("build", *OPTIONS, *options, "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_pack_holds_what_was_compiled_and_is_in_the_proof(cli, finished, tmp_path):
    assets = finished / f"{PACK}/src/main/assets"
    compiled = finished / compiled_name(STEM, CHIP, "tflite")
    assert (assets / "model#group_Qualcomm_SM8650/com_acme_flowers.tflite").read_bytes() == compiled.read_bytes()
    other = assets / "model#group_other/com_acme_flowers.tflite"
    assert other.read_bytes() == (finished / MODEL).read_bytes()
    listed = json.loads((finished / "manifest.json").read_bytes())
    assert other.relative_to(finished).as_posix() in listed["files"]
    assert listed["options"]["npu"] == [str(CHIP)]
    assert cli("bundle", "--check", finished).returncode == 0
    again = cli("bundle", finished, "--android-package", PACKAGE, "--out", tmp_path / "again")
    assert again.returncode == 0, again.stderr
    made = {
        each.relative_to(finished): each.read_bytes() for each in (finished / "android").rglob("*") if each.is_file()
    }
    assert made == {name: (tmp_path / "again" / name).read_bytes() for name in made}
    other.write_bytes(compiled.read_bytes()[:-1])
    assert cli("bundle", "--check", finished).returncode == 1
    shutil.copy(finished / MODEL, other)


@needs_java
def test_the_wrapper_replays_the_golden_vectors_on_the_emulated_npu(finished, tmp_path):
    classes = written(doubles(), tmp_path / "classes")
    (aar,) = (finished / "android").rglob("*.aar")
    with zipfile.ZipFile(aar) as archive, zipfile.ZipFile(io.BytesIO(archive.read("classes.jar"))) as jar:
        jar.extractall(classes)
    written(classes_of_app("AcceleratedPhone", classes), classes)
    assets = tmp_path / "assets"
    shutil.copytree(finished / "android/assets", assets)
    shutil.copytree(finished / f"{PACK}/src/main/assets/model#group_Qualcomm_SM8650", assets / "model")
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(compile_file(finished / MODEL, "tflite", CHIP).emulated)
    golden = json.loads((finished / "golden/golden.json").read_bytes())
    with closing(EmulatedNpu((finished / MODEL).read_bytes(), graph)) as npu:
        phone = AcceleratedPhone(
            classes,
            assets=assets,
            photo=assets / PACKAGE / "golden/case_0/raw.rgb",
            width=golden["cases"][0]["width"],
            devices={"NPU": npu},
        )
    assert phone.told["accelerator"] == ["NPU"]
    assert "fault" not in phone.told
    assert "refusal" not in phone.told
    assert phone.told["top 3"][0].split(":")[0] == str(golden["cases"][0]["expected"][MODEL]["top"])
