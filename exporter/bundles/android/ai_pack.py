"""Lay out a Play AI pack: the file for each chip's NPU, and the one for the CPU for all other devices.

The tree is that of LiteRT's own exporter (ai_edge_litert.aot.ai_pack.export_lib): Google Play gives each device the
folder of its group, without what follows the `#`.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from mbexport.bundles.android.names import pack_name
from mbexport.bundles.app_model import AnyModel
from mbexport.escaping.markup import escaped
from mbexport.formats.npu.chips import Chip

_FOLDER: Final = "ai_packs"
TARGETING: Final = "device_targeting_configuration.xml"
_OTHERS: Final = "other"  # the group of devices that are in no other
_MODELS: Final = "model"
# How Android devices name the vendor of their chip (Build.SOC_MANUFACTURER); the first is LiteRT's own name for it.
_MANUFACTURERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"qualcomm": ("Qualcomm", "QTI")})
# Of litert_npu_runtime_libraries, as LiteRT's sample for NPUs lists them.
_MODULES: Final = ("v69", "v73", "v75", "v79", "v81")
_TARGETING: Final = """<config:device-targeting-config
    xmlns:config="http://schemas.android.com/apk/config">
{groups}
</config:device-targeting-config>
"""
_GROUP: Final = """    <config:device-group name="{name}">
{selectors}
    </config:device-group>"""
_SELECTOR: Final = """        <config:device-selector>
            <config:system-on-chip manufacturer="{manufacturer}" model="{model}"/>
        </config:device-selector>"""
_GRADLE: Final = """plugins {{
    id("com.android.ai-pack")
}}

aiPack {{
    packName = "{pack}"
    dynamicDelivery {{
        deliveryType = "install-time"
    }}
}}
"""


def asset_of_npu(package: str) -> str:
    """Where an app finds the file for its device's NPU among its assets."""
    return f"{_MODELS}/{pack_name(package)}.tflite"


def groups(app: AnyModel) -> dict[Chip, str]:
    """The device groups of the chips that the model was compiled for, as Google Play knows them."""
    return {chip: _group(chip) for chip in app.compiled}


def modules(app: AnyModel) -> dict[Chip, str]:
    """LiteRT's modules with the libraries for these chips' NPUs, empty where there is none."""
    return {chip: f"qualcomm_runtime_{chip.hexagon}" if chip.hexagon in _MODULES else "" for chip in app.compiled}


def ai_pack_files(app: AnyModel, *, package: str) -> dict[str, bytes]:
    """The files of the AI pack by their paths in the bundle's folder; none where nothing was compiled for a chip."""
    if not app.compiled:
        return {}
    pack = pack_name(package)
    assets = f"{_FOLDER}/{pack}/src/main/assets"
    models = {**{_group(chip): content for chip, content in app.compiled.items()}, _OTHERS: app.model}
    return {
        f"{_FOLDER}/{TARGETING}": _targeting(app.compiled).encode(),
        f"{_FOLDER}/{pack}/build.gradle.kts": _GRADLE.format(pack=pack).encode(),
        **{f"{assets}/{_MODELS}#group_{group}/{pack}.tflite": content for group, content in models.items()},
    }


def _group(chip: Chip) -> str:
    return f"{_MANUFACTURERS[chip.vendor][0]}_{chip.name}"


def _targeting(chips: Mapping[Chip, bytes]) -> str:
    groups = (_GROUP.format(name=escaped(_group(chip)), selectors="\n".join(_selectors(chip))) for chip in chips)
    return _TARGETING.format(groups="\n".join(groups))


def _selectors(chip: Chip) -> Iterator[str]:
    for manufacturer in _MANUFACTURERS[chip.vendor]:
        yield _SELECTOR.format(manufacturer=escaped(manufacturer), model=escaped(chip.name))
