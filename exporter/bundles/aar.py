"""Turns assets and classes into an Android library archive (AAR), whose bytes repeat."""

from collections.abc import Mapping
from typing import Final

from mbexport.bundles.archive import zip_bytes

MODEL_SUFFIX: Final = ".tflite"
# The lowest Android of LiteRT 1.4.1, by "Supported Android versions" of ai.google.dev/edge/litert/android.
MIN_SDK: Final = 21

_MANIFEST: Final = """<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="{package}">
    <uses-sdk android:minSdkVersion="{min_sdk}" />
</manifest>
"""
# What the app's shrinker has to know.
_RULES: Final = """# Nothing is reached by reflection; but tests on the device, of the shrunk app, call these.
-keep public class {package}.* {{ public *; }}
"""
# https://developer.android.com/studio/projects/android-library#aar-contents; a library of any other version is refused.
_METADATA: Final = "aarFormatVersion=1.0\naarMetadataVersion=1.0\n"


def aar_bytes(*, package: str, assets: Mapping[str, bytes], classes: Mapping[str, bytes]) -> bytes:
    """The archive: `assets` by their names in the folder that is called as the package, `classes` by their paths.

    The model is not compressed, so that what unpacks nothing may map it into memory.
    """
    return zip_bytes(
        {
            "AndroidManifest.xml": _MANIFEST.format(package=package, min_sdk=MIN_SDK).encode(),
            "R.txt": b"",  # the library has no resources; the Android Gradle plugin wants the file
            "classes.jar": zip_bytes(classes),
            "proguard.txt": _RULES.format(package=package).encode(),
            "META-INF/com/android/build/gradle/aar-metadata.properties": _METADATA.encode(),
            **{f"assets/{package}/{name}": content for name, content in assets.items()},
        },
        is_stored=lambda name: name.endswith((MODEL_SUFFIX, ".jar")),
    )
