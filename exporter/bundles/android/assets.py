"""The assets of the Android bundle (model, labels, settings, golden vectors), and the AAR around them."""

from collections.abc import Mapping
from typing import Final

from mbexport.artifact import LABELS, labels_file
from mbexport.bundles.app_model import AppModel, restrict_golden
from mbexport.bundles.files import zip_bytes
from mbexport.errors import DataError
from mbexport.escaping.markup import escaped
from mbexport.escaping.source import double, integer, properties
from mbexport.golden.vectors import FOLDER, INDEX

MODEL_SUFFIX: Final = ".tflite"
SETTINGS: Final = "settings.properties"
# The lowest Android of LiteRT 1.4.1, by "Supported Android versions" of ai.google.dev/edge/litert/android.
MIN_SDK: Final = 21

_CODES: Final = ("uint8", "int8")
_DTYPES: Final = (*_CODES, "float32")
_MANIFEST: Final = """<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="{package}">
    <uses-sdk android:minSdkVersion="{min_sdk}" />
</manifest>
"""
# Rules for the app's shrinker, R8 or ProGuard.
_RULES: Final = """# Nothing is reached by reflection; but tests on the device, of the shrunk app, call these.
-keep public class {package}.* {{ public *; }}
"""
# https://developer.android.com/studio/projects/android-library#aar-contents; a library of any other version is refused.
_METADATA: Final = "aarFormatVersion=1.0\naarMetadataVersion=1.0\n"


def aar_bytes(*, package: str, assets: Mapping[str, bytes], classes: Mapping[str, bytes]) -> bytes:
    """The AAR: `assets` by their names in a folder called like the package, `classes` by their paths in a jar.

    The model is not compressed, so that an app can map it into memory as it lies in the archive.
    """
    return zip_bytes(
        {
            "AndroidManifest.xml": _MANIFEST.format(package=escaped(package), min_sdk=MIN_SDK).encode(),
            "R.txt": b"",  # the library has no resources; the Android Gradle plugin wants the file
            "classes.jar": zip_bytes(classes),
            "proguard.txt": _RULES.format(package=package).encode(),
            "META-INF/com/android/build/gradle/aar-metadata.properties": _METADATA.encode(),
            **{f"assets/{package}/{name}": content for name, content in assets.items()},
        },
        is_stored=lambda name: name.endswith((MODEL_SUFFIX, ".jar")),
    )


def asset_files(app: AppModel) -> dict[str, bytes]:
    """The files by their names in the bundle's folder of assets.

    Raises `DataError` for a model whose tensors the Java wrapper cannot feed or read.
    """
    _require_supported(app)
    app = restrict_golden(app)
    return {
        app.artifact.file: app.model,
        LABELS: labels_file(_lines(app.labels)),
        SETTINGS: properties(_settings(app)),
        f"{FOLDER}/{INDEX}": app.golden.to_bytes(),
        **{f"{FOLDER}/{name}": content for name, content in app.golden_files.items()},
    }


def _require_supported(app: AppModel) -> None:
    source, target = app.artifact.input, app.artifact.output
    wrong = [dtype for dtype in (source.dtype, target.dtype) if dtype not in _DTYPES]
    if wrong or source.layout != "nhwc":
        raise DataError(
            f"{app.artifact.file}: an Android bundle needs uint8, int8 or float32 tensors with the channels last, "
            f"got {source.dtype} ({source.layout}) and {target.dtype}"
        )
    if target.dtype in _CODES and target.scale is None:
        raise DataError(f"the output of {app.artifact.file} must have a scale for its {target.dtype} codes, got none")


def _lines(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The labels, one line each: those that are names of folders may hold line breaks."""
    return tuple(" ".join(label.split("\n")) for label in labels)


def _settings(app: AppModel) -> dict[str, str]:
    """The settings that Settings.java reads. Each number is spelt so that it comes back as the same double."""
    golden, file = app.golden, app.artifact.file
    source, target, preprocess = app.artifact.input, app.artifact.output, golden.preprocess
    settings = {
        "model": file,
        "classes": integer(golden.classes),
        "resolution": str(preprocess.resolution),
        "channels": integer(preprocess.channels),
        "crop_fraction": double(preprocess.crop_fraction),
        "input.type": source.dtype,
        "input.channel_order": source.channel_order,
        "input.mean": ",".join(double(each) for each in source.mean),
        "input.std": ",".join(double(each) for each in source.std),
        "output.type": target.dtype,
        "output.kind": target.kind,
        "output.scale": double(1.0 if target.scale is None else target.scale),
        "output.zero_point": integer(0 if target.zero_point is None else target.zero_point),
        "output.tolerance": double(target.tolerance),
        "cases": str(len(golden.cases)),
    }
    for number, case in enumerate(golden.cases):
        entry = {
            "name": case.name,
            "width": integer(case.width),
            "height": integer(case.height),
            "raw": f"{FOLDER}/{case.raw}",
            "resized": f"{FOLDER}/{case.resized}",
            "output": f"{FOLDER}/{case.expected[file].output}",
            "top": integer(case.expected[file].top),
        }
        settings.update({f"case.{number}.{name}": value for name, value in entry.items()})
    return settings
