"""Published and exported files, matched by what they say, answer on real photos as they are known to."""

import numpy as np
import pytest

from mbexport.artifact import Layout
from mbexport.formats.contents import labels_of, recognize
from mbexport.formats.matching import input_json, match, output_json
from mbexport.formats.registry import open_runner
from mbexport.formats.subject import Source, Subject
from mbexport.models.data.open import iter_pixels, open_data
from mbexport.models.facts import Output
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import MOBILENET, Pixels, Preprocess
from mbexport.models.resolution import Resolution

IMAGES = 100


@pytest.fixture
def photos(shared_data):
    """The first images of the evaluation set at some resolution, spread over the classes, and their labels."""

    def read(px: int) -> tuple[Pixels, np.ndarray, Preprocess]:
        preprocess = Preprocess(resolution=Resolution.square(px), crop_fraction=1.0)
        folder = shared_data / "imagenet"
        images = open_data(str(folder / "eval"), classes_file=folder / "classes.txt").evaluation(0)
        images = images.subset(np.arange(IMAGES))
        return np.concatenate(list(iter_pixels(images, preprocess))), images.labels, preprocess

    return read


def answers(subject: Subject, pixels: Pixels) -> np.ndarray:
    return subject.raw(pixels).argmax(axis=1)


# Top-1 of the published files on the whole of ImageNet is 66.2 % and 39.9 %; these photos are easier.
@pytest.mark.parametrize(
    ("name", "alpha", "least"),
    [("mobilenet_v1_0.75_192_quant.tflite", 0.75, 0.662), ("mobilenet_v1_0.25_128_quant.tflite", 0.25, 0.399)],
)
def test_googles_files_reach_what_they_are_known_for(shared_data, photos, name, alpha, least):
    runner = open_runner(shared_data / "reference" / name)
    pixels, labels, preprocess = photos(runner.resolution.height_px)
    subject = match(runner, pixels=preprocess, given=None, classes=1000, background=True)
    assert input_json(subject)["source"] == "metadata"
    assert output_json(subject) == {
        "dtype": "uint8", "kind": "softmax", "background": True, "codes": [0.0, 255 / 256], "conflict": None,
    }  # fmt: skip
    assert (answers(subject, pixels) == labels).mean() >= least
    assert recognize(runner) == ModelSpec(alpha=alpha)
    found = labels_of(runner)
    assert found is not None
    assert (len(found), found[0]) == (1001, "background")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # tf_keras calls .h5 legacy
def test_one_network_answers_alike_whatever_it_is_stored_as(cli, shared_data, photos, tmp_path):
    """Keras that takes numbers, Keras that takes bytes, logits with the channels first, in floats and in integers."""
    import tf_keras

    pixels, labels, preprocess = photos(224)
    network = tf_keras.applications.MobileNet(alpha=0.25, weights=None)
    network.load_weights(shared_data / "weights" / "mobilenet_2_5_224_tf.h5")
    network.save(tmp_path / "plain.h5")
    image = tf_keras.layers.Input((224, 224, 3))
    rescaled = tf_keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
    tf_keras.Model(image, network(rescaled)).save(tmp_path / "rescaling.h5")
    done = cli(
        *("export", "--model", tmp_path / "plain.h5", "--preprocess", "mobilenet", "--format", "onnx", "--int8"),
        *("--calibration", shared_data / "imagenet" / "calibration", "--layout", "nchw", "--logits"),
        *("--calibration-samples", 50, "--no-sensitivity", "--out", tmp_path / "out"),
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    files = {path.stem.rpartition("_")[2]: path for path in (tmp_path / "out").glob("*.onnx")}
    files |= {name: tmp_path / f"{name}.h5" for name in ("plain", "rescaling")}
    subjects = {
        name: match(open_runner(path), pixels=preprocess, given=MOBILENET, classes=1000, background=False)
        for name, path in files.items()
    }
    said = {name: (subject.source, subject.runner.layout, subject.kind) for name, subject in subjects.items()}
    assert said == {
        "fp32": (Source.METADATA, Layout.NCHW, Output.LOGITS),
        "int8": (Source.METADATA, Layout.NCHW, Output.LOGITS),
        "plain": (Source.OPTION, Layout.NHWC, Output.SOFTMAX),
        "rescaling": (Source.MODEL, Layout.NHWC, Output.SOFTMAX),
    }
    found = {name: answers(subject, pixels) for name, subject in subjects.items()}
    expected = network.predict(preprocess.normalize(pixels), verbose=0).argmax(axis=1)
    assert (expected == labels).mean() > 0.4
    for name, least in {"plain": 1.0, "rescaling": 0.99, "fp32": 1.0, "int8": 0.85}.items():
        assert (found[name] == expected).mean() >= least, name
