"""Describe an Android device: what it is, how warm it is, and what it lives on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mbexport.errors import StageError
from mbexport.latency.android.adb import Adb

_PROPERTY: Final = re.compile(r"^\[(.+?)\]: \[(.*)\]$", re.MULTILINE)
_THERMAL: Final = re.compile(r"^\s*Thermal Status: ([0-9]+)\s*$", re.MULTILINE)
_BATTERY: Final = re.compile(r"^\s*([A-Za-z ]+): (\S+)\s*$", re.MULTILINE)
_UNKNOWN: Final = "unknown"
# android.os.PowerManager's THERMAL_STATUS_*: from light on, processors are slowed down.
THERMAL_STATUS: Final = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
_SOURCES: Final = ("AC", "USB", "Wireless", "Dock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What a device says of itself; its serial number, which tells who owns it, is not among it."""

    manufacturer: str
    model: str
    soc: str
    android: str
    sdk: int | None
    abis: tuple[str, ...]
    cores: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The state of a device at one moment; None is what it does not say.

    `thermal` is its place in `THERMAL_STATUS` (Android 10 and newer), `level` the battery's charge in percent,
    `temperature_c` the battery's, `powered_by` where current comes from, `saver` whether the battery saver is on.
    """

    thermal: int | None
    level: int | None
    temperature_c: float | None
    powered_by: tuple[str, ...]
    saver: bool | None


def describe(adb: Adb) -> Device:
    """The device's name, system on a chip, Android and ABIs. Raises `StageError` where it lists no properties."""
    answer = adb.shell(["getprop"])
    properties = {name: value.strip() for name, value in _PROPERTY.findall(answer.text)}
    if not properties:
        raise StageError(f"the Android device lists no properties: {answer.text[:80]}")
    cores = adb.shell(["nproc"]).text.strip()
    abis = properties.get("ro.product.cpu.abilist") or properties.get("ro.product.cpu.abi", "")
    return Device(
        manufacturer=properties.get("ro.product.manufacturer") or _UNKNOWN,
        model=properties.get("ro.product.model") or _UNKNOWN,
        soc=_soc(properties),
        android=properties.get("ro.build.version.release") or _UNKNOWN,
        sdk=_whole(properties.get("ro.build.version.sdk")),
        abis=tuple(filter(None, abis.split(","))),
        cores=_whole(cores),
    )


def look(adb: Adb) -> Look:
    """How the device is at this moment."""
    battery = dict(_BATTERY.findall(adb.shell(["dumpsys", "battery"]).text))
    tenths = _whole(battery.get("temperature"))
    saver = adb.shell(["settings", "get", "global", "low_power"]).text.strip()
    return Look(
        thermal=thermal_status(adb),
        level=_whole(battery.get("level")),
        temperature_c=None if tenths is None else tenths / 10,
        powered_by=tuple(source for source in _SOURCES if battery.get(f"{source} powered") == "true"),
        saver={"0": False, "1": True}.get(saver),
    )


def thermal_status(adb: Adb) -> int | None:
    """The place of the device's thermal status in `THERMAL_STATUS`; None where it has no such service."""
    found = _THERMAL.findall(adb.shell(["dumpsys", "thermalservice"]).text)
    status = int(found[0]) if len(found) == 1 else None
    return status if status is not None and status < len(THERMAL_STATUS) else None


def _soc(properties: Mapping[str, str]) -> str:
    """The system on a chip, as Android 12 and newer name it; else the platform that the system was built for."""
    named = [properties.get(f"ro.soc.{each}", "") for each in ("manufacturer", "model")]
    if all(named):
        return " ".join(named)
    return properties.get("ro.board.platform") or properties.get("ro.hardware") or _UNKNOWN


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]{1,9}", text) else None
