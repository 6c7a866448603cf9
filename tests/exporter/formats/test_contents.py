"""What a file's contents tell: the width of its network, the labels of its classes, its hash."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto
from tflite_by_hand import tflite_of

from mbexport.artifact import TensorSpec
from mbexport.errors import DataError
from mbexport.formats.contents import identity_of, labels_of, recognize, stored_labels
from mbexport.formats.description import Description
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import ConvLayer, Runner
from mbexport.formats.tflite.metadata import with_metadata
from mbexport.models.facts import Output
from mbexport.models.mobilenet_v1.spec import BLOCKS, ModelSpec
from mbexport.models.resolution import Resolution

FLOAT = TensorProto.FLOAT
SCORES = ("scores", FLOAT, [1, 48])


class Layers(Runner):
    """A network of so many channels, in no file."""

    runtime = "none"

    def __init__(self, layers: tuple[ConvLayer, ...]) -> None:
        self.layers = layers
        super().__init__(
            Path("net"),
            TensorSpec(name="image", shape=(1, 4, 4, 3), dtype="float32"),
            TensorSpec(name="scores", shape=(1, 2), dtype="float32"),
        )

    def conv_layers(self) -> tuple[ConvLayer, ...]:
        return self.layers

    def metadata(self) -> dict[str, str]:
        return {}

    def _invoke(self, feed):
        return feed


def mobilenet(alpha: float) -> list[ConvLayer]:
    channels = int(32 * alpha)
    layers = [ConvLayer(channels=channels, is_depthwise=False)]
    for block in BLOCKS:
        layers.append(ConvLayer(channels=channels, is_depthwise=True))
        channels = int(block.filters * alpha)
        layers.append(ConvLayer(channels=channels, is_depthwise=False))
    return layers


@given(st.integers(4, 100))
def test_every_width_of_whole_hundredths_is_recognized(hundredths):
    layers = mobilenet(hundredths / 100)
    head = ConvLayer(channels=1000, is_depthwise=False)
    expected = ModelSpec(alpha=hundredths / 100)
    assert recognize(Layers((*layers, head))) == expected
    assert recognize(Layers(tuple(layers))) == expected  # a head that is no convolution


def test_another_network_is_not_recognized():
    layers = mobilenet(0.5)
    wider = ConvLayer(channels=layers[8].channels + 1, is_depthwise=layers[8].is_depthwise)
    for others in ([], layers[:-2], [*layers[2:]], [*layers[:8], wider, *layers[9:]], layers[::-1]):
        assert recognize(Layers(tuple(others))) is None


def test_layers_of_a_graph_are_read_behind_what_converts_their_weights(save):
    """Five filters over three channels, then two over five, in integers."""
    steps = "Conv image w -> a; DequantizeLinear v s z -> d; Conv a d -> b; Flatten b -> scores"
    path = save(
        [("image", FLOAT, (1, 3, 4, 4))],
        [("scores", FLOAT, [1, 32])],
        steps,
        w=np.ones((5, 3, 1, 1), np.float32),
        v=np.ones((2, 5, 1, 1), np.int8),
        s=np.float32(1),
        z=np.int8(0),
    )
    assert open_runner(path).conv_layers() == (
        ConvLayer(channels=5, is_depthwise=False),
        ConvLayer(channels=2, is_depthwise=False),
    )


def labelled(path: Path, *texts: tuple[str, str]) -> Runner:
    path.write_bytes(tflite_of("float32"))
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in texts:
            archive.writestr(name, text)
    return open_runner(path)


LABELS = tuple(f"class {place}" for place in range(12))


def test_labels_of_a_tflite_are_the_lines_of_its_text(tmp_path):
    lines = "\n".join(LABELS)
    path = tmp_path / "net.tflite"
    assert labels_of(labelled(path, ("imagenet_labels.txt", f"{lines}\n"))) == LABELS
    assert labels_of(labelled(path, ("labels.txt", lines))) == LABELS  # without an end of the last line
    assert labels_of(labelled(path)) is None
    assert labels_of(labelled(path, ("labels.txt", f"{lines}\nanother\n"))) is None
    assert labels_of(labelled(path, ("a.txt", lines), ("b.txt", lines))) is None
    assert labels_of(labelled(path, ("a.txt", "notes"), ("labels.txt", lines))) == LABELS
    assert labels_of(labelled(path, ("labels.txt", lines.replace("\n", "\r\n")))) == LABELS
    assert labels_of(labelled(path, ("labels.txt", f"\ufeff{lines}\n\n\n"))) == LABELS
    assert labels_of(labelled(path, ("labels.bin", lines))) is None
    said = Description(
        name="net",
        text="",
        labels=LABELS,
        resolution=Resolution.square(2),
        channels=3,
        mean=(0.0,),
        std=(1.0,),
        output=Output.LOGITS,
    )
    path.write_bytes(with_metadata(tflite_of("float32"), said))
    assert labels_of(open_runner(path)) == LABELS


def test_damaged_labels_of_a_tflite_are_none(tmp_path):
    path = tmp_path / "net.tflite"
    labelled(path, ("labels.txt", "\n".join(LABELS)))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"class 3", b"class 4", 1))  # its checksum is of another text
    assert labels_of(open_runner(path)) is None


def test_labels_that_are_there_and_those_that_cannot_be_read_are_told_apart(tmp_path, save):
    path = tmp_path / "net.tflite"
    assert stored_labels(labelled(path)) is None
    assert stored_labels(labelled(path, ("labels.txt", ""))) == ()
    assert stored_labels(labelled(path, ("labels.txt", "a\n\nb\n"))) == ("a", "", "b")
    with pytest.raises(DataError, match="its labels cannot be read"):
        stored_labels(labelled(path, ("labels.txt", b"\xff\xfe")))
    with pytest.raises(DataError, match="its labels must have at most"):
        stored_labels(labelled(path, ("labels.txt", "a" * (2**22 + 1))))

    def stored(**properties):
        return stored_labels(open_runner(save([("image", FLOAT, (1, 4, 4, 3))], [SCORES], properties=properties)))

    assert stored() is None
    assert stored(labels="") == stored(labels="[]") == ()
    for damaged in ("[1]", "{}", "[", "null"):
        with pytest.raises(DataError, match="its labels must be a list of texts, got"):
            stored(labels=damaged)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (json.dumps([str(place) for place in range(48)]), tuple(map(str, range(48)))),
        (json.dumps(["a", "b"]), None),
        (json.dumps(list(range(48))), None),
        ('{"a": 1}', None),
        ("[", None),
        ("[" * 100_000, None),
    ],
)
def test_labels_of_an_onnx_are_a_property(save, said, expected):
    path = save([("image", FLOAT, (1, 4, 4, 3))], [SCORES], properties={"labels": said})
    assert labels_of(open_runner(path)) == expected


def test_a_hash_is_of_a_file_or_of_all_files_of_a_folder(tmp_path):
    # FIPS 180-4's own example for a file; for a folder the sha256 of "<sha256 of abc> a/abc\n", by sha256sum.
    (tmp_path / "one" / "a").mkdir(parents=True)
    (tmp_path / "one" / "a" / "abc").write_bytes(b"abc")
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert identity_of(tmp_path / "one" / "a" / "abc") == (abc, 3)
    before = identity_of(tmp_path / "one")
    (tmp_path / "one" / "a" / "abc").rename(tmp_path / "one" / "abc")
    assert before == ("d7ab85272bf91df3eccc839834d314c70277fa7d20217e96d5d0574e4c4ebe33", 3)
    assert identity_of(tmp_path / "one")[0] != before[0]
