"""Packages by hand are read; damaged ones are refused in one line that names the folder."""

import json
from contextlib import suppress

import numpy as np
import pytest
from coreml_by_hand import KERNEL, LABELS, SIDE, chunk, constant, files_by_hand, immediate, value_type, whole
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.formats.coreml.package import FILES, MANIFEST, MODEL, WEIGHTS, ImageInput, package_in, package_of
from mbexport.formats.coreml.weights import convolutions_in

CODES = np.array([[127, -64, 32], [-127, 95, 64]], np.int8).reshape(2, 3, 1, 1)
SCALES = np.array([0.00390625, 0.0078125], np.float16)


def written(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_what_a_package_says(tmp_path):
    package = package_in(written(tmp_path / "net.mlpackage", files_by_hand()))
    assert package.specification == 6
    assert package.image == ImageInput(name="image", height_px=SIDE, width_px=SIDE, colour="RGB")
    assert package.outputs == (package.label, package.scores) == ("classLabel", "classLabel_probs")
    assert package.labels == LABELS
    assert package.metadata == {"description": "a network", "author": "mbexport", "mbexport.name": "net"}
    assert package.program.opset == "CoreML5"


def test_weights_in_float16_and_in_codes():
    (floats,) = convolutions_in(package_of(files_by_hand(), name="net"))
    assert floats.unpacking is None
    assert floats.kernel.tolist() == KERNEL.tolist()
    assert floats.bias.tolist() == [0.25, -0.5]
    (codes,) = convolutions_in(package_of(files_by_hand(codes=(CODES, SCALES)), name="net"))
    assert codes.kernel.dtype == np.float16
    assert codes.kernel.reshape(2, 3).tolist() == [[0.49609375, -0.25, 0.125], [-0.9921875, 0.7421875, 0.5]]


def test_identifiers_are_of_the_content():
    """The same specification has the same ones, another has others; both name the files that there are."""
    one, same, other = (json.loads(files_by_hand(labels=names)[MANIFEST]) for names in (LABELS, LABELS, ("a", "b")))
    assert one == same
    assert set(one["itemInfoEntries"]).isdisjoint(other["itemInfoEntries"])
    assert one["itemInfoEntries"][one["rootModelIdentifier"]]["path"] == "com.apple.CoreML/model.mlmodel"
    assert {each["path"] for each in one["itemInfoEntries"].values()} == {
        "com.apple.CoreML/model.mlmodel",
        "com.apple.CoreML/weights",
    }


@pytest.mark.parametrize("missing", FILES)
def test_a_folder_without_a_file_is_refused(tmp_path, missing):
    folder = written(tmp_path / "net.mlpackage", {k: v for k, v in files_by_hand().items() if k != missing})
    with pytest.raises(DataError) as caught:
        package_in(folder)
    assert str(caught.value) == f"{folder} is not an .mlpackage that can be read: it has no {missing}"


def test_no_folder_at_all(tmp_path):
    with pytest.raises(DataError, match=r"^no such file: .*net\.mlpackage$"):
        package_in(tmp_path / "net.mlpackage")


def test_other_models_of_core_ml_are_refused():
    with pytest.raises(DataError, match=r"^net is not an \.mlpackage that can be read: it holds no program"):
        package_of({**files_by_hand(), MODEL: b"\x08\x04"}, name="net")


@given(st.data())
def test_changed_bytes_are_read_or_refused(data):
    """Whatever byte of a package is changed, there is a package or one line: nothing else is raised."""
    files = files_by_hand(codes=(CODES, SCALES))
    name = data.draw(st.sampled_from([MODEL, WEIGHTS]))
    content = bytearray(files[name])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    with suppress(DataError):
        convolutions_in(package_of({**files, name: bytes(content)}, name="net"))


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (chunk(1, "conv"), "its operation conv gives nothing"),
        (constant("odd", immediate([1, 2], "int32"), "int32", (2,)).replace(b"val", b"vol"), "const gives nothing"),
        (
            constant("odd", immediate([1, 2], "int32").replace(whole(1, 2), whole(1, 3)), "int32", (2,)),
            "its program holds 2 numbers in the shape (3,)",
        ),
    ],
)
def test_an_operation_that_makes_no_sense_is_refused(operation, message):
    with pytest.raises(DataError) as caught:
        package_of(files_by_hand(extra=operation), name="net")
    assert message in str(caught.value)


def test_parameters_without_an_argument_are_not_given():
    """A convolution that names no kernel and a list of no labels are read; there is nothing to show of them."""
    empty = chunk(2, chunk(1, "weight") + chunk(2, b""))
    convolution = chunk(1, "conv") + empty + chunk(3, chunk(1, "odd") + chunk(2, value_type("float16", (1,))))
    package = package_of(files_by_hand(extra=convolution, labels=()), name="net")
    assert len(convolutions_in(package)) == 1
    assert package.labels == ()


@pytest.mark.parametrize("length", [0, 40, 100])
def test_short_weights_are_refused(length):
    files = files_by_hand()
    with pytest.raises(DataError, match="its weights are damaged"):
        package_of({**files, WEIGHTS: files[WEIGHTS][:length]}, name="net")
