"""LiteRT's newer interfaces, CompiledModel and the C API, load our .tflite files and answer as the interpreter does."""

import shutil
from pathlib import Path
from typing import Any

import ai_edge_litert
import numpy as np
import pytest
from clients.environments import HERE, run

pytestmark = pytest.mark.client

KINDS = ("fp32.tflite", "int8.tflite")
SIGNATURE = "serving_default"


@pytest.fixture(scope="session")
def c_client(tmp_path_factory) -> Path:
    """The program `c/classify.c`, linked with the library that LiteRT's wheel holds."""
    library = Path(ai_edge_litert.__file__).parent
    if shutil.which("cc") is None or not (library / "libLiteRt.so").is_file():
        pytest.skip("a C compiler and LiteRT's libLiteRt.so are needed")
    program = tmp_path_factory.mktemp("c") / "classify"
    source = HERE / "c" / "classify.c"
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", f"-L{library}", "-lLiteRt", f"-Wl,-rpath,{library}"]
    run(["cc", "-o", program, source, *flags])
    return program


@pytest.mark.parametrize("kind", KINDS)
def test_compiled_model_answers_as_the_interpreter_bit_for_bit(network, kind):
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator

    ours = network.answers(kind)
    fed = network.fed(kind)
    model = CompiledModel.from_file(str(network.file(kind)), HardwareAccelerator.CPU)
    source = model.create_input_buffer_by_name(SIGNATURE, "image")
    target = model.create_output_buffer_by_name(SIGNATURE, "scores")

    found = []
    for image in fed:
        source.write(image[None])
        model.run_by_name(SIGNATURE, {"image": source}, {"scores": target})
        found.append(np.array(target.read(ours.shape[1], ours.dtype)))

    assert model.get_signature_list() == {SIGNATURE: {"inputs": ["image"], "outputs": ["scores"]}}
    assert len(np.unique(ours, axis=0)) > 5  # one answer to everything would prove nothing
    np.testing.assert_array_equal(np.stack(found), ours)


@pytest.mark.parametrize("kind", KINDS)
def test_the_c_api_answers_as_the_interpreter_bit_for_bit(c_client, network, kind, tmp_path):
    ours = network.answers(kind)

    printed, found = _in_c(c_client, network, kind, tmp_path)

    assert printed.startswith("image -> scores, ")
    np.testing.assert_array_equal(np.frombuffer(found, ours.dtype).reshape(ours.shape), ours)


def test_the_float_network_is_handed_over_whole(c_client, network, tmp_path):
    """XNNPACK has no integer softmax, so that this can be asked of float only."""
    printed, _ = _in_c(c_client, network, "fp32.tflite", tmp_path)

    assert printed.strip().endswith("whole on the accelerator: yes")


def _in_c(program: Path, network: Any, kind: str, folder: Path) -> tuple[str, bytes]:
    """What the program prints, and the bytes of its scores."""
    (folder / "images").write_bytes(network.fed(kind).tobytes())
    printed = run([program, network.file(kind), folder / "images", folder / "scores"], is_ours=False)
    return printed, (folder / "scores").read_bytes()
