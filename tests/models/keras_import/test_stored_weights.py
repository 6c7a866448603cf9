"""Stored weights come back by layer, whatever the layout, and files that lead elsewhere are refused."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tf_keras
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.models.keras_import.files import snake_case
from mbexport.models.keras_import.weights import stored_weights

CONVS = ("stem", "conv2d", "inner_conv", "predictions")


def nested(library: Any) -> Any:
    """Two convolutions that the counters would name otherwise, and one more inside a nested model."""
    layers = library.layers
    inner_image = layers.Input((6, 6, 4))
    x = layers.BatchNormalization(name="inner_bn")(layers.Conv2D(4, 3, name="inner_conv")(inner_image))
    inner = library.Model(inner_image, x, name="inner")
    image = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, use_bias=False, name="stem")(image)
    x = layers.Conv2D(4, 1, name="conv2d")(layers.BatchNormalization(name="stem_bn")(x))
    x = layers.SeparableConv2D(5, 3, name="separable")(inner(x))
    return library.Model(image, layers.Conv2D(2, 1, name="predictions")(x))


def expected_weights(model: Any) -> dict[str, list[Any]]:
    """By leaf name, straight from the live model."""
    found = {}
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found |= expected_weights(layer)
        elif layer.weights:
            found[layer.name] = layer.get_weights()
    return found


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(found) == set(expected)
    for name, tensors in expected.items():
        assert all(tensor.dtype == np.float32 for tensor in found[name])
        for one, other in zip(found[name], tensors, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)


@pytest.fixture(scope="module")
def models(randomize: Callable[..., Any]) -> dict[str, Any]:
    return {"tf_keras": randomize(nested(tf_keras)), "keras": randomize(nested(keras), seed=1)}


@pytest.mark.parametrize("library", ["tf_keras", "keras"])
@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_whole_models_give_every_tensor_by_layer(
    tmp_path: Path, models: dict[str, Any], library: str, suffix: str
) -> None:
    models[library].save(tmp_path / f"model.{suffix}")
    assert_same(stored_weights(tmp_path / f"model.{suffix}"), expected_weights(models[library]))


def test_legacy_weights_alone_come_back(tmp_path: Path, models: dict[str, Any]) -> None:
    models["tf_keras"].save_weights(tmp_path / "weights.h5", save_format="h5")
    assert_same(stored_weights(tmp_path / "weights.h5"), expected_weights(models["tf_keras"]))


def test_keras_3_notes_the_names_of_layers_beside_their_weights(tmp_path: Path, models: dict[str, Any]) -> None:
    models["keras"].save_weights(tmp_path / "model.weights.h5")
    assert_same(stored_weights(tmp_path / "model.weights.h5"), expected_weights(models["keras"]))


def test_without_names_the_groups_of_weights_h5_are_given(tmp_path: Path, models: dict[str, Any]) -> None:
    models["tf_keras"].save_weights(tmp_path / "model.weights.h5")
    found = stored_weights(tmp_path / "model.weights.h5")
    live = expected_weights(models["tf_keras"])
    spelled = {"conv2d": "stem", "conv2d_1": "conv2d", "conv2d_2": "predictions", "functional/conv2d": "inner_conv"}
    norms = {"batch_normalization": "stem_bn", "functional/batch_normalization": "inner_bn"}
    names = {**spelled, **norms, "separable_conv2d": "separable"}
    assert_same(found, {group: live[name] for group, name in names.items()})


def test_published_imagenet_weights_are_what_keras_loads(shared_data: Path) -> None:
    path = shared_data / "weights" / "mobilenet_2_5_224_tf.h5"
    model = tf_keras.applications.MobileNet((224, 224, 3), alpha=0.25, weights=None)
    model.load_weights(path)
    assert_same(stored_weights(path), expected_weights(model))


def rewritten(path: Path, names: dict[str, str], *, container: str = "layers") -> None:
    """The same .keras with other groups in its weights, and no names noted beside them."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        for old, new in names.items():
            file["layers"].move(old, new)
        file.move("layers", container)
        file.visititems(lambda _, group: group.attrs.pop("name", None))
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**parts, "model.weights.h5": buffer.getvalue()}.items():
            archive.writestr(name, content)


def test_groups_named_after_the_layers_are_found_too(tmp_path: Path, models: dict[str, Any]) -> None:
    models["keras"].save(tmp_path / "model.keras")
    outer = {"conv2d": "stem", "conv2d_1": "conv2d", "conv2d_2": "predictions", "batch_normalization": "stem_bn"}
    inner = {"conv2d": "inner_conv", "batch_normalization": "inner_bn"}
    inner = {f"functional/layers/{old}": f"functional/layers/{new}" for old, new in inner.items()}
    rewritten(tmp_path / "model.keras", {**inner, **outer, "functional": "inner", "separable_conv2d": "separable"})
    assert_same(stored_weights(tmp_path / "model.keras"), expected_weights(models["keras"]))


def test_the_layout_of_tensorflow_2_12_counts_layers_with_weights_twice(tmp_path: Path, models: dict[str, Any]) -> None:
    models["keras"].save(tmp_path / "model.keras")
    names = {"conv2d_2": "conv2d_4", "conv2d_1": "conv2d_2"}
    rewritten(tmp_path / "model.keras", names, container="_layer_checkpoint_dependencies")
    assert_same(stored_weights(tmp_path / "model.keras"), expected_weights(models["keras"]))


def test_a_layer_of_old_keras_may_bear_a_scope_of_another_name(tmp_path: Path) -> None:
    # Sessions made names unique: the scope was conv1_1 for the layer conv1.
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["layer_names"] = [b"input_1", b"conv1"]
        file.create_group("input_1").attrs["weight_names"] = np.array([], "S1")
        file.create_group("conv1").attrs["weight_names"] = [b"conv1_1/kernel:0", b"conv1_1/bias:0"]
        file["conv1/conv1_1/kernel:0"] = np.full((1, 1, 1, 2), 3, np.float16)
        file["conv1/conv1_1/bias:0"] = np.array([1, 2], np.float64)
    (kernel, bias) = stored_weights(tmp_path / "old.h5")["conv1"]
    assert (kernel.ravel().tolist(), bias.tolist()) == ([3, 3], [1, 2])
    assert kernel.dtype == bias.dtype == np.float32


def test_attributes_split_by_keras_are_joined(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["layer_names0"], file.attrs["layer_names1"] = [b"one"], [b"two"]
        for name in ("one", "two"):
            file.create_group(name).attrs["weight_names"] = [f"{name}/kernel:0"]
            file[f"{name}/{name}/kernel:0"] = np.zeros((1, 1), np.float32)
    assert list(stored_weights(tmp_path / "old.h5")) == ["one", "two"]


@pytest.mark.parametrize(
    ("class_name", "group"),
    [("Conv2D", "conv2d"), ("DepthwiseConv2D", "depthwise_conv2d"), ("ReLU", "re_lu"), ("TFOpLambda", "tf_op_lambda")],
)
def test_groups_are_spelled_as_keras_spells_them(class_name: str, group: str) -> None:
    assert snake_case(class_name) == group


def linked(file: h5py.File, link: Any) -> None:
    file.attrs["layer_names"] = [b"conv"]
    file.create_group("conv").attrs["weight_names"] = [b"kernel:0"]
    file["conv/kernel:0"] = link


@pytest.mark.parametrize("link", [h5py.ExternalLink("other.h5", "/secret"), h5py.SoftLink("/elsewhere")])
def test_links_are_refused(tmp_path: Path, link: Any) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.zeros((1, 1))
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        linked(file, link)
    with pytest.raises(DataError, match=r"holds a link \(conv/kernel:0\)"):
        stored_weights(tmp_path / "weights.h5")


def test_data_kept_in_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(64))
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.attrs["layer_names"] = [b"conv"]
        group = file.create_group("conv")
        group.attrs["weight_names"] = [b"kernel:0"]
        group.create_dataset("kernel:0", (4, 4), np.float32, external=[(str(tmp_path / "secret"), 0, 64)])
    with pytest.raises(DataError, match="keeps conv/kernel:0 in another file"):
        stored_weights(tmp_path / "weights.h5")


def test_a_file_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.create_dataset("bomb", (2**15, 2**15), np.float32, chunks=(1024, 1024), compression="gzip")
    assert (tmp_path / "weights.h5").stat().st_size < 10_000
    with pytest.raises(DataError, match="must take at most 1073741824 bytes, got 4294967296"):
        stored_weights(tmp_path / "weights.h5")


def test_an_archive_without_the_expected_members_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("../config.json", "{}")
    with pytest.raises(DataError, match=r"holds no config\.json"):
        stored_weights(tmp_path / "model.keras")


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        stored_weights(tmp_path / "missing.h5")
    with pytest.raises(DataError, match=r"holds no saved_model\.pb"):
        stored_weights(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Any]) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("damage") / "weights.h5"
    models["tf_keras"].save_weights(path, save_format="h5")
    return path, path.read_bytes()


@given(content=st.binary(max_size=100))
@example(content=b"\x89HDF\r\n\x1a\n")
@example(content=b"PK\x03\x04")
@example(content=b"\x80\x04.")
def test_random_bytes_are_refused(whole: tuple[Path, bytes], content: bytes) -> None:
    path, _ = whole
    path.write_bytes(content)
    with pytest.raises(DataError):
        stored_weights(path)


@given(cut=st.floats(0, 0.999))
def test_a_truncated_file_is_refused(whole: tuple[Path, bytes], cut: float) -> None:
    path, content = whole
    path.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(DataError, match=r"cannot be read|begins with"):
        stored_weights(path)
