"""Make the bundles of a finished run."""

from collections.abc import Mapping

from mbexport.bundles.app_model import app_models
from mbexport.bundles.files import require_path, zip_bytes
from mbexport.bundles.registry import Bundling, zip_name


def bundle_files(files: Mapping[str, bytes], labels: tuple[str, ...], bundling: Bundling) -> dict[str, bytes]:
    """The files of the bundles by their paths in the output folder; `files` are the folder's other files, by path.

    Raises `DataError` if there is no artifact that an app could use, or a name leads out of the folder.
    """
    if not bundling.platforms:
        return {}
    made: dict[str, bytes] = {}
    for platform, app in app_models(files, labels, bundling):
        bundle = {f"{platform.name}/{name}": each for name, each in platform.files(app, bundling.options).items()}
        made |= bundle
        if bundling.is_zipped:
            made[zip_name(app.golden.stem, platform.name)] = zip_bytes(bundle)
    return {require_path(name): content for name, content in made.items()}
