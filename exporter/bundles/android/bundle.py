"""Make the Android bundle: a Maven repository with one AAR, and the same files to copy."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final

from mbexport.bundles.android import wrapper
from mbexport.bundles.android.ai_pack import ai_pack_files, asset_of_npu, groups, modules
from mbexport.bundles.android.assets import aar_bytes, asset_files
from mbexport.bundles.android.maven import Coordinates, artifact_id, repository
from mbexport.bundles.android.names import kotlin_name, pack_name, require_package
from mbexport.bundles.android.runtimes import DEFAULT, LITERT_GROUP, Runtime
from mbexport.bundles.android.settings import accelerated_tolerance
from mbexport.bundles.app_model import AnyModel
from mbexport.bundles.files import zip_bytes
from mbexport.escaping.templates import markdown_templates, source_templates
from mbexport.models.task import Task

_REPOSITORY: Final = "maven"
_README: Final = "README.md"
_USAGE: Final = "Usage.kt"
_HERE: Final = "mbexport.bundles.android"
_KINDS: Final[Mapping[Task, str]] = MappingProxyType(
    {Task.CLASSIFY: "Image classifier", Task.DETECT: "Object detector"}
)


def android_files(app: AnyModel, *, package: str, runtime: Runtime = DEFAULT) -> dict[str, bytes]:
    """The files of the Android bundle by their paths in its folder; the same values give the same bytes.

    `package` is that of the wrapper, the name of its folder of assets, and its group in the Maven repository. The
    wrapper calls `runtime`; where that reaches NPUs, what was compiled for chips is laid out as an AI pack.
    Raises `OptionError` for a name that no package can have, `DataError` for a model that the wrapper cannot run.
    """
    require_package(package)
    assets = asset_files(app, package=package, runtime=runtime)
    at = Coordinates(group=package, artifact=artifact_id(app.name), version=app.version)
    folder = package.replace(".", "/")
    sources = wrapper.sources(package, app.task, runtime)
    test = sources.pop(wrapper.TEST)
    maven = repository(
        at,
        aar=aar_bytes(
            package=package,
            runtime=runtime,
            assets=assets,
            classes=wrapper.classes(package, app.task, runtime),
        ),
        sources=zip_bytes({f"{folder}/{name}": content for name, content in sources.items()}),
        needs=runtime,
        description=_description(app),
        licence=app.golden.licence,
    )
    return {
        **{f"{_REPOSITORY}/{path}": content for path, content in maven.items()},
        **{f"assets/{package}/{name}": content for name, content in assets.items()},
        **{f"src/main/java/{folder}/{name}": content for name, content in sources.items()},
        f"src/test/java/{folder}/{wrapper.TEST}": test,
        **(ai_pack_files(app, package=package) if runtime.is_accelerated else {}),
        **_texts(app, package=package, runtime=runtime, at=at),
    }


def _description(app: AnyModel) -> str:
    return (
        f"{_KINDS[app.task]} {app.artifact.file}: {app.golden.classes} classes, "
        f"{app.golden.preprocess.resolution.extent} pixels"
    )


def _texts(app: AnyModel, *, package: str, runtime: Runtime, at: Coordinates) -> dict[str, bytes]:
    values: dict[str, Any] = {
        "shipped": app,  # as the templates call it
        "package": package,
        "kotlin_package": kotlin_name(package),
        "at": str(at),
        "aar": str(PurePosixPath(_REPOSITORY, at.path(".aar"))),
        "aar_name": PurePosixPath(at.path(".aar")).name,
        "runtime": runtime,
        "litert_group": LITERT_GROUP,
        "preprocess": app.golden.preprocess,
        "pack": pack_name(package),
        "groups": groups(app),
        "modules": modules(app),
        "npu_file": asset_of_npu(package),
        "accelerated_tolerance": accelerated_tolerance,
    }
    folder = wrapper.FOLDERS[app.task]
    templates = {
        _README: markdown_templates(_HERE).get_template(f"{folder}/readme.md.j2"),
        _USAGE: source_templates(_HERE, "kotlin").get_template(f"{folder}/usage.kt.j2"),
    }
    return {name: template.render(values).encode() for name, template in templates.items()}
