"""Converting in a process beside this one: what it is told, and one line for whatever goes wrong in there."""

from dataclasses import replace

import numpy as np
import pytest
import tf_keras
from coreml_by_hand import ASKED, SIDE, files_by_hand

from mbexport.errors import OptionError, StageError
from mbexport.formats.coreml import convert
from mbexport.formats.coreml.convert import PackageConversion, package_files
from mbexport.formats.coreml.rows import PACKAGES
from mbexport.models.facts import Output

FP16, W8 = PACKAGES
DONE = "print('{\"error\": null}')\n"


class Networks:
    """The network of a package by hand."""

    def network(self):
        image = tf_keras.layers.Input((SIDE, SIDE, 3))
        maps = tf_keras.layers.Conv2D(2, 1, name="conv")(image)
        scores = tf_keras.layers.Softmax()(tf_keras.layers.GlobalAveragePooling2D()(maps))
        network = tf_keras.Model(image, scores)
        kernel = np.array([[0.5, -0.25, 0.125], [-1.0, 0.75, 0.5]], np.float32)
        network.get_layer("conv").set_weights([kernel.T.reshape(1, 1, 3, 2), np.array([0.25, -0.5], np.float32)])
        return network


@pytest.fixture
def converter(monkeypatch, tmp_path):
    """Puts this program in the place of the process; FILES is a folder with a package by hand."""
    place = tmp_path / "made"
    for name, content in files_by_hand().items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)

    def install(program: str) -> None:
        monkeypatch.setattr(convert, "_COMMAND", ("-c", program.replace("FILES", repr(str(place)))))

    return install


COPY = "import shutil, sys; shutil.copytree(FILES, sys.argv[1] + '/package')\n"


def made(description=ASKED, form=FP16):
    return package_files(PackageConversion(form=form, description=description, networks=Networks()))


def test_what_the_process_writes_is_the_package(converter):
    converter(COPY + "import pathlib; assert (pathlib.Path(sys.argv[1]) / 'saved/saved_model.pb').is_file()\n" + DONE)
    assert made() == files_by_hand()


def test_a_package_of_another_network_is_refused(converter):
    converter(COPY + DONE)
    newer = replace(FP16, specification=7)
    with pytest.raises(StageError, match=r"^the version of the package must be 7, got 6$"):
        made(form=newer)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ('print(\'{"error": "no room\\\\u001b[31m"}\')', "no room\\x1b[31m"),
        ("import os; os.abort()", "coremltools crashed (SIGABRT), in a process of its own"),
        ("raise SystemExit(4)", "coremltools ended with exit code 4, in a process of its own"),
        ("", "coremltools ended without a word, in a process of its own"),
    ],
)
def test_whatever_goes_wrong_is_one_line(converter, program, reason):
    converter(program)
    with pytest.raises(StageError) as caught:
        made()
    assert str(caught.value) == f"net cannot be converted to coreml-fp16: {reason}"
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"output": Output.LOGITS}, "--precision coreml-w8 makes classifiers that give probabilities, got a network "),
        (
            {"channels": 4},
            "--precision coreml-w8 takes GREY, RGB, BGR images, as Core ML has them, got a ",
        ),
    ],
)
def test_what_no_package_can_be_is_bad_input(changed, line):
    with pytest.raises(OptionError) as caught:
        made(replace(ASKED, **changed), W8)
    assert str(caught.value).startswith(line)


def test_what_the_process_is_told():
    """One scale, a bias a channel, and a factor where a channel has another std than the first."""
    asked = replace(ASKED, mean=(100.0, 110.0, 120.0), std=(50.0, 50.0, 40.0), licence="MIT")
    found = convert._request(W8, asked)
    assert (found["scale"], found["bias"], found["shape"]) == (0.02, [-2.0, -2.2, -2.4], (1, SIDE, SIDE, 3))
    assert convert._gains(asked) == (1.0, 1.0, 1.25)
    assert convert._gains(ASKED) == ()
    assert (found["target"], found["is_quantized"], found["words"]["license"]) == ("iOS16", True, "MIT")
    assert found["properties"]["mbexport.normalization.std"] == "[50.0, 50.0, 40.0]"
