"""LiteRT's accelerator for GPUs, with stand-ins for it and Vulkan: outputs in order, and what is missing."""

import ctypes
import os
from types import SimpleNamespace
from typing import Any

import ai_edge_litert.compiled_model
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_by_hand import tflite_of

from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.formats.registry import open_path, open_runner
from mbexport.formats.tflite import vulkan, webgpu
from mbexport.formats.tflite.webgpu import webgpu_share


class Vulkan:
    """A Vulkan with devices of these names, whose calls end with these results."""

    def __init__(self, *names: str, created: int = 0, listed: int = 0) -> None:
        self._names, self._created, self._listed = names, created, listed
        self.destroyed = 0

    def vkCreateInstance(self, asked: Any, _allocator: None, instance: Any) -> int:  # noqa: N802
        assert asked._obj.type == 1
        instance._obj.value = 7
        return self._created

    def vkEnumeratePhysicalDevices(self, instance: Any, count: Any, devices: Any) -> int:  # noqa: N802
        assert instance.value == 7
        count._obj.value = min(len(self._names), count._obj.value)
        for place in range(count._obj.value):
            devices[place] = 100 + place
        return self._listed

    def vkGetPhysicalDeviceProperties(self, device: Any, properties: Any) -> None:  # noqa: N802
        name = self._names[device.value - 100].encode()
        ctypes.memmove(ctypes.addressof(properties) + 20, name, len(name))

    def vkDestroyInstance(self, _instance: Any, _allocator: None) -> None:  # noqa: N802
        self.destroyed += 1


@pytest.fixture
def on_linux(monkeypatch):
    """Vulkan, or its absence, on Linux."""

    def install(found: Vulkan | None) -> Vulkan | None:
        def load(name: str) -> Vulkan:
            assert name == "libvulkan.so.1"
            if found is None:
                raise OSError("cannot open shared object file")
            return found

        monkeypatch.setattr(vulkan, "sys", SimpleNamespace(platform="linux"))
        monkeypatch.setattr(vulkan.ctypes, "CDLL", load)
        return found

    return install


def test_devices_by_hand(on_linux):
    found = on_linux(Vulkan("SwiftShader Device (Subzero)", "Radeon"))
    assert vulkan.device_names() == ("SwiftShader Device (Subzero)", "Radeon")
    assert vulkan.missing_device() is None
    assert found.destroyed == 2


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (None, "there is no libvulkan.so.1"),
        (Vulkan(created=-9), "Vulkan has no driver"),
        (Vulkan(listed=-3), "Vulkan does not list its devices"),
        (Vulkan(), "Vulkan knows no device"),
    ],
)
def test_what_is_missing_is_one_line(on_linux, found, line):
    on_linux(found)
    assert vulkan.missing_device() == line


def test_elsewhere_there_are_other_interfaces(on_linux, monkeypatch):
    on_linux(None)
    monkeypatch.setattr(vulkan, "sys", SimpleNamespace(platform="darwin"))
    assert vulkan.missing_device() is None


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite_of("uint8", affine=Affine(scale=(1.0,), zero_point=(0,))))
    return path


@pytest.mark.parametrize("names", [("llvmpipe", "old card"), ()])
def test_devices_that_webgpu_does_not_take_are_named(file, monkeypatch, on_linux, names):
    on_linux(Vulkan(*names))

    def refused(path: str, hardware_accel: Any) -> Compiled:
        os.write(2, b"ERROR: Failed to initialize WebGPU environment: INTERNAL: No adapters found\n")
        raise RuntimeError("ERROR: [compiled_model.h:1961]\nand more")

    monkeypatch.setattr(ai_edge_litert.compiled_model.CompiledModel, "from_file", refused)
    with pytest.raises(DataError) as found:
        open_path(file, "webgpu")
    listed = "".join(f", {name}" for name in names)
    assert str(found.value) == f"{file} cannot be compiled for the GPU: WebGPU takes none of the devices here{listed}"


class Compiled:
    """A compiled file that gives its input flat, behind another output of five zeros."""

    def __init__(self, *, whole: bool, tensor: int) -> None:
        self._whole, self._tensor = whole, tensor

    def is_fully_accelerated(self) -> bool:
        return self._whole

    def get_signature_by_index(self, _place: int) -> dict[str, Any]:
        return {"key": "serving", "outputs": ["other", "scores"]}

    def get_output_tensor_details(self, _key: str) -> dict[str, Any]:
        return {"scores": {"index": self._tensor}, "other": {"index": 99}}

    def create_input_buffers(self, _place: int) -> list[Any]:
        self.fed: list[Any] = []
        return [SimpleNamespace(write=self.fed.append)]

    def create_output_buffers(self, _place: int) -> list[Any]:
        def read(count: int, kind: Any) -> Any:
            assert (count, kind) == (12, np.dtype("uint8"))
            return self.fed[-1].ravel()

        return [SimpleNamespace(read=lambda *_: np.zeros(5)), SimpleNamespace(read=read)]

    def run_by_index(self, _place: int, _sources: Any, _targets: Any) -> None:
        assert self.fed


@pytest.mark.parametrize("whole", [True, False])
def test_outputs_come_in_the_order_of_the_file(file, monkeypatch, on_linux, whole):
    on_linux(Vulkan("SwiftShader Device (Subzero)"))
    tensor = open_runner(file)._targets[0]

    def compiled(path: str, hardware_accel: Any) -> Compiled:
        assert path == str(file)
        assert hardware_accel.name == "CPU|GPU"
        return Compiled(whole=whole, tensor=tensor)

    monkeypatch.setattr(ai_edge_litert.compiled_model.CompiledModel, "from_file", compiled)
    runner = open_path(file, "webgpu")
    image = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(runner.invoke(image)[0], image.reshape(1, 12))
    share = webgpu_share(runner)
    assert (share.taken, share.total, share.device) == (1 if whole else None, 1, "SwiftShader Device (Subzero)")


LOG = [
    "INFO: [environment.cc:36] Creating LiteRT environment with options",
    "ERROR: Following operations are not supported by GPU delegate:",
    "CUSTOM TFLite_Detection_PostProcess: TFLite_Detection_PostProcess",
    "TOPK_V2: Operation is not supported.",
    "5 operations will run on the GPU, and the remaining 4 operations will run on the CPU.",
]
OPS = ["CONV_2D"] * 6 + ["TOPK_V2", "RESHAPE", "TFLite_Detection_PostProcess"]


def test_what_the_gpu_leaves_by_the_log_of_litert():
    left = (("TFLite_Detection_PostProcess", 1), ("TOPK_V2", 1), ("others beside them", 2))
    assert webgpu._taken(LOG, OPS) == (5, left)
    assert webgpu._taken(LOG[:2], OPS) == (None, ())


@given(taken=st.integers(0, 99), left=st.lists(st.sampled_from(["TOPK_V2", "GATHER", "RESHAPE"])))
def test_whatever_the_log_names_all_ops_are_counted(taken, left):
    count = f"{taken} operations will run on the GPU, and the remaining {len(left)} operations will run on the CPU."
    found, rest = webgpu._taken([*LOG[:4], count], ["CONV_2D"] * taken + left)
    assert found == taken
    assert sum(number for _, number in rest) == len(left)


def test_what_cannot_be_compiled_is_one_line(file, monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("ERROR: [compiled_model.cc:1036]\nand more")

    monkeypatch.setattr(ai_edge_litert.compiled_model.CompiledModel, "from_file", refuse)
    with pytest.raises(
        DataError, match=r"net\.tflite cannot be compiled for the GPU: ERROR: \[compiled_model"
    ) as raised:
        open_path(file, "webgpu")
    assert "\n" not in str(raised.value)


def test_another_runner_has_no_share_of_the_gpu(file):
    with pytest.raises(DataError, match="must be compiled for the GPU"):
        webgpu_share(open_runner(file))
