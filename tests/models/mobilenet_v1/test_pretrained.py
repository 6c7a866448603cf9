"""Pretrained weights: found in the cache, set if they fit, and refused with a clear message if they do not."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

from mbexport.errors import DataError, OptionError
from mbexport.models.keras_import.weights import stored_weights
from mbexport.models.mobilenet_v1.network import build
from mbexport.models.mobilenet_v1.pretrained import FORM, HEAD, imagenet_files
from mbexport.models.mobilenet_v1.spec import Convolution, ModelSpec
from mbexport.models.pretrained import head_classes, imagenet_weights, set_weights
from mbexport.models.resolution import Resolution
from mbexport.models.weights import weights_to_bytes

SOURCE = Path("some.h5")
ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
Stored = dict[str, list[Any]]


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(
    ("px", "published_px"), [(128, 128), (160, 160), (192, 192), (224, 224), (96, 224), (256, 224)]
)
def test_files_are_called_as_keras_calls_them(alpha: float, px: int, published_px: int) -> None:
    found = imagenet_files(ModelSpec(alpha=alpha, resolution=Resolution.square(px)))
    assert found == (f"mobilenet_{ALPHAS[alpha]}_{published_px}_tf.h5",)


@pytest.mark.parametrize("alpha", [0.1, 0.35, 0.9])
def test_other_alphas_are_refused(alpha: float) -> None:
    with pytest.raises(OptionError, match=rf"published for alpha 0.25, 0.5, 0.75, 1, got {alpha:g}"):
        imagenet_files(ModelSpec(alpha=alpha))


@pytest.mark.parametrize("family", [{"conv": Convolution.STANDARD}, {"shallow": True}], ids=["standard", "shallow"])
def test_the_papers_other_networks_are_refused(family: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="separable, full-depth network only"):
        imagenet_files(ModelSpec(**family))


def test_a_cached_file_is_found_without_loading_keras(tmp_path: Path) -> None:
    cached = tmp_path / "models" / "mobilenet_7_5_224_tf.h5"
    cached.parent.mkdir()
    cached.touch()
    code = (
        "import sys, pathlib; from mbexport.models.mobilenet_v1.pretrained import *; "
        "from mbexport.models.pretrained import imagenet_weights; names = imagenet_files(ModelSpec(alpha=0.75)); "
        f"print(imagenet_weights(FORM, names, pathlib.Path({str(tmp_path)!r}))); "
        "assert not {'tf_keras', 'tensorflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(cached)), done.stderr


def test_a_file_that_is_missing_is_fetched_into_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[Any, ...]] = []

    def get_file(name: str, origin: str, *, cache_dir: str, cache_subdir: str) -> str:
        asked.append((name, origin.rpartition("/")[2], cache_dir, cache_subdir))
        return f"{cache_dir}/{cache_subdir}/{name}"

    monkeypatch.setattr(tf_keras.utils, "get_file", get_file)
    name = "mobilenet_5_0_160_tf.h5"
    assert (
        imagenet_weights(FORM, imagenet_files(ModelSpec(alpha=0.5, resolution=Resolution.square(160))), tmp_path)
        == tmp_path / "models" / name
    )
    assert asked == [(name, name, str(tmp_path), "models")]


@pytest.mark.parametrize(
    ("error", "words"),
    [(Exception("URL fetch failure\non line 2"), "URL fetch failure"), (TimeoutError(), "TimeoutError")],
)
def test_a_failed_download_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, words: str
) -> None:
    def get_file(*_: Any, **__: Any) -> str:
        raise error

    monkeypatch.setattr(tf_keras.utils, "get_file", get_file)
    with pytest.raises(DataError) as caught:
        imagenet_weights(FORM, imagenet_files(ModelSpec(alpha=1.0)), tmp_path)
    name = "mobilenet_1_0_224_tf.h5"
    assert str(caught.value) == (
        f"the ImageNet weights are not at {tmp_path / 'models' / name} and cannot be downloaded ({words}): "
        f"put {name} there, or pass --weights FILE"
    )


# ---- set_weights


def network(*, alpha: float = 0.05, classes: int = 3, seed: int = 0) -> Any:
    tf_keras.utils.set_random_seed(seed)
    return build(ModelSpec(alpha=alpha, resolution=Resolution.square(32), classes=classes))


@pytest.fixture(scope="module")
def stored(randomize: Callable[..., Any]) -> Stored:
    """The weights of a network, by layer."""
    return {layer.name: layer.get_weights() for layer in randomize(network()).layers if layer.weights}


def assert_has(model: Any, stored: Stored) -> None:
    for layer in model.layers:
        for found, expected in zip(layer.get_weights(), stored.get(layer.name, []), strict=True):
            np.testing.assert_array_equal(found, expected.reshape(found.shape), err_msg=layer.name)


def automatic_names(stored: Stored, *, first: int = 0) -> Stored:
    """As Keras names layers that nobody named: conv2d, conv2d_1, ... in the order of the network."""
    counts: dict[str, int] = {}
    renamed = {}
    for name, tensors in stored.items():
        kind = {"_bn": "batch_normalization"}.get(name[-3:], "depthwise_conv2d" if "_dw_" in name else "conv2d")
        number = counts.setdefault(kind, first)
        counts[kind] += 1
        renamed[f"{kind}_{number}" if number else kind] = tensors
    return dict(sorted(renamed.items()))  # conv2d_10 before conv2d_2, as HDF5 lists them


def test_weights_are_set_by_name(stored: Stored) -> None:
    model = network(seed=1)
    set_weights(FORM, model, dict(reversed(stored.items())), source=SOURCE, keeps_head=True)
    assert_has(model, stored)


@pytest.mark.parametrize("first", [0, 1, 28])
def test_layers_with_automatic_names_are_matched_by_order(stored: Stored, first: int) -> None:
    model = network(seed=1)
    set_weights(FORM, model, automatic_names(stored, first=first), source=SOURCE, keeps_head=True)
    assert_has(model, stored)


def test_a_dense_head_is_taken_as_a_convolution(stored: Stored) -> None:
    model, (kernel, bias) = network(seed=1), stored[HEAD]
    set_weights(FORM, model, {**stored, HEAD: [kernel[0, 0], bias]}, source=SOURCE, keeps_head=True)
    assert_has(model, stored)


@pytest.mark.parametrize("head", ["another", "none", "dense"])
def test_without_its_head_a_file_of_other_classes_fits(stored: Stored, head: str) -> None:
    model = network(classes=7, seed=1)
    before = [value.copy() for value in model.get_layer(HEAD).get_weights()]
    given = {name: tensors for name, tensors in stored.items() if name != HEAD or head == "another"}
    if head == "dense":
        given[HEAD] = [stored[HEAD][0][0, 0], stored[HEAD][1]]
    set_weights(FORM, model, given, source=SOURCE, keeps_head=False)
    assert_has(model, {**stored, HEAD: before})


def refuses(model: Any, stored: Stored, *, keeps_head: bool = True) -> str:
    before = weights_to_bytes(model)
    with pytest.raises(DataError) as caught:
        set_weights(FORM, model, stored, source=SOURCE, keeps_head=keeps_head)
    assert weights_to_bytes(model) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_head_of_other_classes_is_refused_and_nothing_is_set(stored: Stored) -> None:
    # The head is the last layer: those before it fit, and must not have been set.
    assert refuses(network(classes=7, seed=1), stored) == (
        "the weights some.h5 do not fit: conv_preds/kernel must have shape (1, 1, 51, 7), got (1, 1, 51, 3); "
        "it looks like alpha 0.0498 with 3 classes"
    )


def test_a_missing_layer_is_named(stored: Stored) -> None:
    given = {name: tensors for name, tensors in stored.items() if name != "conv_dw_4_bn"}
    assert "conv_dw_4_bn/gamma must have shape (6,), got nothing;" in refuses(network(seed=1), given)


def test_a_missing_tensor_is_named(stored: Stored) -> None:
    given = {**stored, "conv_dw_4_bn": stored["conv_dw_4_bn"][:3]}
    assert "conv_dw_4_bn/moving_variance must have shape (6,), got nothing" in refuses(network(seed=1), given)


@pytest.mark.parametrize("keeps_head", [True, False])
def test_a_layer_too_many_is_named(stored: Stored, keeps_head: bool) -> None:
    given = {**stored, "empty": [], "conv_pw_14": stored["conv_pw_13"]}
    message = refuses(network(seed=1), given, keeps_head=keeps_head)
    assert "do not fit: the network has no layer conv_pw_14; it looks like alpha" in message


def test_a_file_of_something_else_is_refused() -> None:
    assert refuses(network(), {"dense_1": [np.zeros(3, np.float32)]}).endswith("; it holds no convolutions")
    assert refuses(network(), {}).endswith("got nothing; it holds no convolutions")


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("classes", [1000, pytest.param(5, marks=pytest.mark.run), None])
def test_a_misfit_says_what_the_file_looks_like(alpha: float, classes: int | None) -> None:
    spec = ModelSpec(alpha=alpha, resolution=Resolution.square(32), classes=classes or 2)
    given = shapes_of(spec, with_head=classes is not None)
    message = refuses(network(), given)
    head = f"with {classes} classes" if classes else "without a head"
    assert message.endswith(f"it looks like alpha {alpha:g} {head}")
    first = f"got (3, 3, 3, {spec.channels(32)})"
    assert f"conv1/kernel must have shape (3, 3, 3, 1), {first}" in message


def shapes_of(spec: ModelSpec, *, with_head: bool) -> Stored:
    """Zeros in the shapes of a network of ours, without building it."""
    channels = spec.channels(32)
    found = {"conv1": [np.zeros((3, 3, 3, channels), np.float32)]}
    for number, block in enumerate(spec.blocks, start=1):
        n = spec.channels(block.filters)
        found[f"conv_dw_{number}"] = [np.zeros((3, 3, channels, 1), np.float32)]
        found[f"conv_pw_{number}"] = [np.zeros((1, 1, channels, n), np.float32)]
        channels = n
    if with_head:
        found[HEAD] = [np.zeros((1, 1, channels, spec.classes), np.float32), np.zeros(spec.classes, np.float32)]
    return found


def test_the_classes_of_a_head_are_found_by_name_or_by_its_bias(stored: Stored) -> None:
    without = {name: tensors for name, tensors in stored.items() if name != HEAD}
    assert head_classes(FORM, stored) == 3
    assert head_classes(FORM, automatic_names(stored)) == 3
    assert head_classes(FORM, {**without, "dense": [np.zeros((51, 9)), np.zeros(9)]}) == 9
    assert head_classes(FORM, without) is None


@pytest.mark.parametrize(("alpha", "name"), [(0.75, "mobilenet_7_5_224_tf.h5"), (0.25, "mobilenet_2_5_224_tf.h5")])
def test_published_weights_fit(shared_data: Path, alpha: float, name: str) -> None:
    given = stored_weights(shared_data / "weights" / name)
    assert head_classes(FORM, given) == 1000
    model = network(alpha=alpha, classes=1000)
    set_weights(FORM, model, given, source=SOURCE, keeps_head=True)
    assert_has(model, given)
    reference = tf_keras.applications.MobileNet(alpha=alpha, weights=str(shared_data / "weights" / name))
    images = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    ours = build(ModelSpec(alpha=alpha))
    set_weights(FORM, ours, given, source=SOURCE, keeps_head=True)
    np.testing.assert_allclose(np.asarray(ours(images)), np.asarray(reference(images)), atol=1e-5)
