"""The assets of the Android bundle (model, labels, settings, golden vectors), and the AAR around them."""

from collections.abc import Mapping
from typing import Final

from mbexport.artifact import LABELS, labels_file
from mbexport.bundles.android.runtimes import Runtime
from mbexport.bundles.android.settings import settings_of
from mbexport.bundles.app_model import AnyModel, restrict_golden
from mbexport.bundles.files import zip_bytes
from mbexport.escaping.markup import escaped
from mbexport.escaping.source import properties
from mbexport.golden.vectors import FOLDER, INDEX

MODEL_SUFFIX: Final = ".tflite"
SETTINGS: Final = "settings.properties"
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


def aar_bytes(*, package: str, runtime: Runtime, assets: Mapping[str, bytes], classes: Mapping[str, bytes]) -> bytes:
    """The AAR: `assets` by their names in a folder called like the package, `classes` by their paths in a jar.

    It is for apps with that runtime.
    The model is not compressed, so that an app can map it into memory as it lies in the archive.
    """
    return zip_bytes(
        {
            "AndroidManifest.xml": _MANIFEST.format(package=escaped(package), min_sdk=runtime.min_sdk).encode(),
            "R.txt": b"",  # the library has no resources; the Android Gradle plugin wants the file
            "classes.jar": zip_bytes(classes),
            "proguard.txt": f"{_RULES.format(package=package)}{runtime.rules}".encode(),
            "META-INF/com/android/build/gradle/aar-metadata.properties": _METADATA.encode(),
            **{f"assets/{package}/{name}": content for name, content in assets.items()},
        },
        is_stored=lambda name: name.endswith((MODEL_SUFFIX, ".jar")),
    )


def asset_files(app: AnyModel, *, package: str, runtime: Runtime) -> dict[str, bytes]:
    """The files by their names in the bundle's folder of assets, for the wrapper in that package.

    Raises `DataError` for a model whose tensors the Java wrapper cannot feed or read.
    """
    app = restrict_golden(app)
    settings = settings_of(app, package=package, runtime=runtime)
    return {
        app.artifact.file: app.model,
        LABELS: labels_file(_lines(app.labels)),
        SETTINGS: properties(settings),
        f"{FOLDER}/{INDEX}": app.golden.to_bytes(),
        **{f"{FOLDER}/{name}": content for name, content in app.golden_files.items()},
    }


def _lines(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The labels, one line each: those that are names of folders may hold line breaks."""
    return tuple(" ".join(label.split("\n")) for label in labels)
