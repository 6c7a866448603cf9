"""Turns the files of a finished run into the bundles that were asked for."""

from collections.abc import Mapping
from dataclasses import replace

from mbexport.bundles.android.bundle import android_files
from mbexport.bundles.android.names import default_package
from mbexport.bundles.app import Shipped, shipped
from mbexport.bundles.choices import Bundling, Platform
from mbexport.bundles.files import zip_bytes
from mbexport.bundles.ios.bundle import ios_files


def bundle_files(files: Mapping[str, bytes], labels: tuple[str, ...], bundling: Bundling) -> dict[str, bytes]:
    """The files of the bundles by their names in the output folder, made of `files`, which lie there.

    Raises `DataError` if there is no .tflite that an app could use.
    """
    if not bundling.platforms:
        return {}
    contents = shipped(files, labels)
    contents = replace(contents, name=bundling.name or contents.name, version=bundling.version or contents.version)
    made: dict[str, bytes] = {}
    for platform in bundling.platforms:
        bundle = {f"{platform.value}/{name}": each for name, each in _files(contents, platform, bundling).items()}
        made |= bundle
        if bundling.is_zipped:
            made[zip_name(contents.golden.stem, platform)] = zip_bytes(bundle)
    return made


def zip_name(stem: str, platform: Platform) -> str:
    """What the zip of a bundle is called."""
    return f"{stem}-{platform.value}.zip"


def is_bundled(name: str) -> bool:
    """Whether `name`, in an output folder, is of a bundle."""
    return any(name.startswith(f"{each.value}/") or name.endswith(zip_name("", each)) for each in Platform)


def _files(contents: Shipped, platform: Platform, bundling: Bundling) -> dict[str, bytes]:
    if platform is Platform.ANDROID:
        return android_files(contents, package=bundling.android_package or default_package(contents.name))
    return ios_files(contents)
