"""SavedModel folders of either Keras give the same answers after import; those that could do more are not loaded."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2

from mbexport.errors import DataError
from mbexport.models.keras_import.agreement import Source
from mbexport.models.keras_import.model import import_model
from mbexport.models.keras_import.saved_model import ServingGraph
from mbexport.models.keras_import.saved_model_calls import graph_calls
from mbexport.models.resolution import Resolution

pytestmark = [pytest.mark.run, pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")]
LIBRARIES = {"tf_keras": tf_keras, "keras": keras}
FORMS = [("tf_keras", "save"), ("tf_keras", "export"), ("keras", "export")]


def scaled_and_separable(layers: Any) -> list[Any]:
    return [
        layers.Rescaling(1 / 127.5, offset=-1),
        layers.ZeroPadding2D(((0, 1), (0, 1))),
        layers.Conv2D(6, 3, strides=2, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(6),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.SeparableConv2D(5, 3, strides=2, padding="same"),
        layers.ReLU(3),
        layers.BatchNormalization(),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="softmax"),
    ]


def deep_head(layers: Any) -> list[Any]:
    return [
        layers.Conv2D(6, 5, strides=3, activation="relu"),
        layers.Dense(4, activation="relu6"),
        layers.AveragePooling2D(4),
        layers.Flatten(),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.Dense(8, use_bias=False),
        layers.BatchNormalization(),
        layers.Reshape((1, 1, 8)),
        layers.Conv2D(3, 1),
        layers.Reshape((3,)),
        layers.Activation("sigmoid"),
    ]


def flattened(layers: Any) -> list[Any]:
    return [layers.Conv2D(3, 5, strides=3, activation="relu"), layers.Flatten(), layers.Dense(4)]


def model_of(library: Any, chain: list[Any], *, shape: tuple[Any, ...] = (14, 14, 3)) -> Any:
    return library.Sequential([library.layers.Input(shape), *chain])


def write(model: Any, folder: Path, how: str) -> None:
    if how == "save":
        model.save(folder, save_format="tf")
    else:
        model.export(folder)


@pytest.mark.parametrize("form", FORMS, ids="-".join)
@pytest.mark.parametrize("chain", [scaled_and_separable, deep_head, flattened])
def test_a_folder_gives_the_same_answers(
    tmp_path: Path, randomize: Any, agrees: Any, chain: Callable[[Any], list[Any]], form: tuple[str, str]
) -> None:
    library, how = LIBRARIES[form[0]], form[1]
    model = randomize(model_of(library, chain(library.layers)))
    write(model, tmp_path / "saved", how)
    assert (tmp_path / "saved" / "keras_metadata.pb").exists() == (how == "save")
    imported = agrees(model, tmp_path / "saved")
    scaled = chain is scaled_and_separable
    assert imported.input_scale == pytest.approx((1 / 127.5 if scaled else 1.0,))
    assert imported.input_offset == pytest.approx((-1.0 if scaled else 0.0,))


@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_an_open_input_takes_the_given_resolution(
    tmp_path: Path, randomize: Any, agrees: Any, form: tuple[str, str]
) -> None:
    layers = LIBRARIES[form[0]].layers
    inner = [layers.Conv2D(4, 3, padding="same", name="stem"), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    base = model_of(LIBRARIES[form[0]], inner, shape=(None, None, 1))
    model = randomize(model_of(LIBRARIES[form[0]], [base], shape=(None, None, 1)))
    write(model, tmp_path / "saved", form[1])
    with pytest.raises(DataError, match="of no fixed size: pass --resolution"):
        import_model(tmp_path / "saved")
    imported = agrees(model, tmp_path / "saved", resolution=Resolution.square(20))
    assert imported.output == "logits"
    assert imported.network.input_shape == (None, 20, 20, 1)
    assert imported.network.layers[1].name.startswith("stem")


def test_a_network_saved_for_training_with_its_augmentation_serves_without_it(
    tmp_path: Path, randomize: Any, agrees: Any
) -> None:
    layers = tf_keras.layers
    chain = [layers.RandomFlip(), layers.RandomRotation(0.1), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()]
    model = randomize(model_of(tf_keras, [*chain, layers.Dense(3)]))
    model.compile("adam", "mse")
    write(model, tmp_path / "saved", "save")
    agrees(model, tmp_path / "saved")


def test_an_export_that_augments_as_it_serves_is_refused(tmp_path: Path) -> None:
    layers = keras.layers
    chain = [layers.RandomFlip(), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    write(model_of(keras, chain), tmp_path / "saved", "export")
    with pytest.raises(DataError, match=r"changes images at random .*: export the model without its augmentation"):
        import_model(tmp_path / "saved")


class Served(tf.Module):
    """A SavedModel that no Keras wrote."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.kernel = tf.Variable(np.full((4, 4, 3, 2), 0.1, np.float32))
        self.function = function

    @tf.function(input_signature=[tf.TensorSpec((None, 4, 4, 3), tf.float32)])
    def serve(self, image: Any) -> Any:
        return tf.reshape(self.function(image, self.kernel), (-1, 2))


def served(folder: Path, function: Callable[[Any, Any], Any]) -> Path:
    module = Served(function)
    tf.saved_model.save(module, folder, signatures=module.serve)
    return folder


def convolved(image: Any, kernel: Any) -> Any:
    return tf.nn.conv2d(image, kernel, 1, "VALID")


def test_plain_arithmetic_by_hand(tmp_path: Path) -> None:
    # 48 weights of 0.1 and pixels of 2 * 1 - 0.5: 7.2, times -1, plus 10, cut off at 2.5.
    def function(image: Any, kernel: Any) -> Any:
        return tf.clip_by_value(10 - convolved(image / 0.5 - 0.5, kernel), 0.0, 2.5)

    imported = import_model(served(tmp_path / "saved", function))
    assert (imported.input_scale, imported.input_offset) == ((2.0,), (-0.5,))
    image = np.full((1, 4, 4, 3), 1.5, np.float32)
    np.testing.assert_allclose(imported.network.predict(image, verbose=0), [[2.5, 2.5]])
    np.testing.assert_allclose(imported.network.predict(image * 1.2, verbose=0), [[1.36, 1.36]], rtol=1e-5)


def writes_a_file(image: Any, kernel: Any) -> Any:
    with tf.control_dependencies([tf.io.write_file("written-by-the-model", "x")]):
        return convolved(image, kernel)


FOREIGN = {
    "WriteFile": writes_a_file,
    "ReadFile": lambda image, kernel: convolved(image, kernel) + tf.strings.to_number(tf.io.read_file("/etc/hostname")),
    "EagerPyFunc": lambda image, kernel: tf.py_function(lambda x: x, [convolved(image, kernel)], tf.float32),
    "LRN": lambda image, kernel: convolved(tf.nn.local_response_normalization(image), kernel),
}


@pytest.mark.parametrize("operation", FOREIGN)
def test_foreign_operations_are_refused_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    served(tmp_path / "saved", FOREIGN[operation])
    monkeypatch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(DataError, match=f"holds the operation {operation}, .*: nothing was loaded"):
        import_model(tmp_path / "saved", trust=True)


@pytest.mark.parametrize("is_of_weights", [False, True])
def test_nothing_that_is_run_waits_for_a_write(tmp_path: Path, is_of_weights: bool) -> None:
    """Freezing a graph drops what it waits for; this holds where a version of TensorFlow would not."""
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, (1, 4, 4, 3))
        kernel = tf.constant(np.full((4, 4, 3, 2), 0.1, np.float32))
        with tf.control_dependencies([tf.io.write_file(str(tmp_path / "written"), "x")]):
            waiting = tf.identity(kernel if is_of_weights else image)
        output = convolved(*((image, waiting) if is_of_weights else (waiting, kernel)))
    serving = ServingGraph(
        graph=graph, image=image, outputs=(output,),
        input_shape=(4, 4, 3), function=None, batch=None,
    )  # fmt: skip
    with pytest.raises(DataError, match=r"\(WriteFile\) is not supported"):
        graph_calls(serving)
    assert not (tmp_path / "written").exists()


def test_a_checkpoint_beside_the_output_is_never_written(tmp_path: Path) -> None:
    """SaveV2 is what Keras writes into every folder, so that it may lie there."""
    written = tmp_path / "written-by-the-model"

    def function(image: Any, kernel: Any) -> Any:
        save = tf.raw_ops.SaveV2(
            prefix=str(written), tensor_names=["x"], shape_and_slices=[""], tensors=[tf.constant(1.0)]
        )
        with tf.control_dependencies([save]):
            return tf.identity(convolved(image, kernel))

    folder = served(tmp_path / "saved", function)
    import_model(folder)
    Source(path=folder).original()(np.ones((1, 4, 4, 3), np.float32))
    assert not list(tmp_path.glob("written*"))


def test_objects_that_act_on_loading_are_refused(tmp_path: Path) -> None:
    served(tmp_path / "saved", convolved)
    path = tmp_path / "saved" / "saved_model.pb"
    stored = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    stored.meta_graphs[0].object_graph_def.nodes.add().resource.device = "CPU"
    path.write_bytes(stored.SerializeToString())
    with pytest.raises(DataError, match="holds a resource that acts on loading"):
        import_model(tmp_path / "saved")


UNSUPPORTED = {
    "pools the axes": lambda image, kernel: convolved(image, kernel) + tf.reduce_mean(image),
    r"\(Sub\) takes 2 tensors": lambda image, kernel: convolved(image, kernel) - convolved(image + 1.0, kernel),
    r"\(Square\) is not supported": lambda image, kernel: tf.square(convolved(image, kernel)),
    r"\(RealDiv\) divides by the map": lambda image, kernel: 1 / convolved(image, kernel),
    "turns the axes": lambda image, kernel: convolved(tf.transpose(image, (0, 2, 1, 3)), kernel),
    r"pools the axes \[3\]": lambda image, kernel: (
        tf.reduce_mean(convolved(image, kernel), -1) + tf.constant([0.0, 0.0])
    ),
    "must be NHWC without dilations": lambda image, kernel: tf.nn.conv2d(image, kernel, 1, "SAME", dilations=2),
}


@pytest.mark.parametrize("match", UNSUPPORTED)
def test_operations_that_are_not_supported_are_refused(tmp_path: Path, match: str) -> None:
    with pytest.raises(DataError, match=match):
        import_model(served(tmp_path / "saved", UNSUPPORTED[match]))


def test_a_lambda_is_refused_without_trust(tmp_path: Path, randomize: Any, agrees: Any) -> None:
    chain = [tf_keras.layers.Lambda(lambda x: x * 2.0, name="code"), *flattened(tf_keras.layers)]
    model = randomize(model_of(tf_keras, chain))
    write(model, tmp_path / "saved", "save")
    with pytest.raises(DataError, match=r"holds a Lambda layer \(code\)"):
        import_model(tmp_path / "saved")
    assert agrees(model, tmp_path / "saved", trust=True).input_scale == (2.0,)


@pytest.mark.parametrize("damage", ["graph", "variables", "metadata"])
def test_damaged_folders_are_refused(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "saved"
    write(model_of(tf_keras, flattened(tf_keras.layers)), folder, "save")
    if damage == "graph":
        (folder / "saved_model.pb").write_bytes(b"\xff" * 100)
    elif damage == "variables":
        shutil.rmtree(folder / "variables")
    else:
        (folder / "keras_metadata.pb").write_bytes(b"\xff" * 100)
    with pytest.raises(DataError, match="cannot be read"):
        import_model(folder)
