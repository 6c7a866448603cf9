"""Find the device that LiteRT's GPU accelerator runs on, by Vulkan's own list: it does not name it."""

import ctypes
import ctypes.util
import sys
from typing import Final

from mbexport.errors import DataError

_LIBRARY: Final = "libvulkan.so.1"  # the name that WebGPU's library looks for
# Of vulkan_core.h: VkStructureType of VkInstanceCreateInfo; in VkPhysicalDeviceProperties five numbers of 32 bits come
# before a name of 256 bytes.
_INSTANCE_CREATE_INFO: Final = 1
_NAME_OFFSET, _NAME_BYTES = 20, 256
_PROPERTIES_BYTES: Final = 4096  # more than the structure has in any version
_MOST_DEVICES: Final = 16


class _InstanceCreateInfo(ctypes.Structure):
    """VkInstanceCreateInfo: no layers, no extensions."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.c_void_p),
        ("layers", ctypes.c_uint32),
        ("layer_names", ctypes.c_void_p),
        ("extensions", ctypes.c_uint32),
        ("extension_names", ctypes.c_void_p),
    )


def missing_device() -> str | None:
    """Why there is no device; None where there is one, and where another interface than Vulkan is used."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        found = device_names()
    except DataError as error:
        return str(error)
    return None if found else "Vulkan knows no device"


def device_names() -> tuple[str, ...]:
    """The names of Vulkan's devices. Raises `DataError` where the library is missing or does not start."""
    try:
        vulkan = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise DataError(f"there is no {_LIBRARY}") from None
    instance = ctypes.c_void_p()
    asked = _InstanceCreateInfo(type=_INSTANCE_CREATE_INFO)
    if vulkan.vkCreateInstance(ctypes.byref(asked), None, ctypes.byref(instance)):
        raise DataError("Vulkan has no driver")
    try:
        return _names(vulkan, instance)
    finally:
        vulkan.vkDestroyInstance(instance, None)


def _names(vulkan: ctypes.CDLL, instance: ctypes.c_void_p) -> tuple[str, ...]:
    count, devices = ctypes.c_uint32(_MOST_DEVICES), (ctypes.c_void_p * _MOST_DEVICES)()
    if vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), devices) < 0:
        raise DataError("Vulkan does not list its devices")
    names = []
    for device in devices[: count.value]:
        properties = ctypes.create_string_buffer(_PROPERTIES_BYTES)
        vulkan.vkGetPhysicalDeviceProperties(ctypes.c_void_p(device), properties)
        name = properties.raw[_NAME_OFFSET : _NAME_OFFSET + _NAME_BYTES].split(b"\0", 1)[0]
        names.append(name.decode("utf-8", "replace"))
    return tuple(names)
