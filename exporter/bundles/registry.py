"""The bundles for apps, a row each.

From a row follow the choice of `--platform` and the bundle's own options, its folder and zip in the output folder, what
the manifest records of it and its line in the model card. Rows hold functions whose heavy imports lie inside, so that
the command line reads the registry without loading numpy.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mbexport.bundles.android.names import default_package, require_package
from mbexport.bundles.android.runtimes import DEFAULT, require_runtime
from mbexport.errors import OptionError
from mbexport.formats.tflite.format import TFLITE
from mbexport.models.task import Task

if TYPE_CHECKING:
    from mbexport.bundles.app_model import AnyModel

# A name for Maven and CocoaPods, which each language turns into one of its own: it starts with a letter.
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")
# Semantic Versioning 2.0.0: Maven, SwiftPM and CocoaPods all order versions by these three numbers.
_VERSION: Final = re.compile(r"(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){2}")
_COMMON: Final = ("bundle-name", "bundle-version", "zip")  # the options of every bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformOption:
    """An option of one bundle: `name` is that on the command line and in manifest.json.

    `check` raises `OptionError` for a value that cannot be used.
    """

    name: str
    metavar: str
    help: str
    check: Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One kind of bundle.

    `name` is its folder and its choice of `--platform`; `title` and `summary`, a line of Markdown, are what the model
    card says of it. It needs an artifact of the format called `model_format` that takes one image at a time, and has
    code for what its `tasks` answer. `files` makes its files, by their paths in the folder, of the model and the values
    of the options that were given; `options` are those that it has for itself.
    """

    name: str
    title: str
    summary: str
    model_format: str
    files: "Callable[[AnyModel, Mapping[str, str]], dict[str, bytes]]"
    tasks: tuple[Task, ...] = (Task.CLASSIFY,)
    options: tuple[PlatformOption, ...] = ()


ANDROID_PACKAGE: Final = PlatformOption(
    name="android-package",
    metavar="NAME",
    help="Java package of the classes in the Android bundle; mbexport.<model> if absent.",
    check=require_package,
)


ANDROID_RUNTIME: Final = PlatformOption(
    name="android-runtime",
    metavar="NAME",
    help="LiteRT in the Android bundle: litert2 computes on the NPU, the GPU or the CPU, and says which; litert1 "
    f"(1.4.1) on the CPU, from Android 5 on. {DEFAULT.name} if absent.",
    check=require_runtime,
)


def _android_files(app: "AnyModel", options: Mapping[str, str]) -> dict[str, bytes]:
    from mbexport.bundles.android.bundle import android_files

    package = options.get(ANDROID_PACKAGE.name) or default_package(app.name)
    runtime = require_runtime(options.get(ANDROID_RUNTIME.name) or DEFAULT.name)
    return android_files(app, package=package, runtime=runtime)


def _ios_files(app: "AnyModel", _options: Mapping[str, str]) -> dict[str, bytes]:
    from mbexport.bundles.ios.bundle import ios_files

    return ios_files(app)


def _web_files(app: "AnyModel", _options: Mapping[str, str]) -> dict[str, bytes]:
    from mbexport.bundles.web.bundle import web_files

    return web_files(app)


PLATFORMS: Final = (
    Platform(
        name="android",
        title="Android",
        summary="`android/` holds a library (AAR) with a local Maven repository, its README, and "
        "with `--npu` a Play AI pack.",
        model_format=TFLITE.name,
        files=_android_files,
        tasks=(Task.CLASSIFY, Task.DETECT),
        options=(ANDROID_PACKAGE, ANDROID_RUNTIME),
    ),
    Platform(
        name="ios",
        title="iOS",
        summary="`ios/` holds a Swift package and a podspec, and its README.",
        model_format=TFLITE.name,
        files=_ios_files,
        tasks=(Task.CLASSIFY, Task.DETECT),
    ),
    Platform(
        name="web",
        title="Web",
        summary="`web/` holds an npm package with a demo page, and its README.",
        model_format=TFLITE.name,
        files=_web_files,
        tasks=(Task.CLASSIFY, Task.DETECT),
    ),
)


def platform_names() -> tuple[str, ...]:
    """The choices of `--platform`."""
    return tuple(each.name for each in PLATFORMS)


def platform_options() -> tuple[PlatformOption, ...]:
    """The options that single bundles have."""
    return tuple(option for each in PLATFORMS for option in each.options)


def zip_name(stem: str, platform: str) -> str:
    """The file name of a zipped bundle."""
    return f"{stem}-{platform}.zip"


def is_bundled(name: str) -> bool:
    """Whether the file `name` of an output folder belongs to a bundle."""
    return any(name.startswith(f"{each}/") or name.endswith(zip_name("", each)) for each in platform_names())


def without_effect(files: Collection[str]) -> tuple[str, ...]:
    """The options of bundles that made none of these `files` of an output folder.

    Earlier versions took them and ignored them.
    """
    made = [each for each in PLATFORMS if any(name.startswith(f"{each.name}/") for name in files)]
    own = (option.name for each in PLATFORMS if each not in made for option in each.options)
    return (*own, *(() if made else _COMMON))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundling:
    """Which bundles a run makes, and how. Raises `OptionError` for a platform, name, version or option that is illegal.

    Bundles are called `name` and have `version`: the name of the artifacts and mbexport's version if absent. `options`
    are the values of `platform_options` by name. With `is_zipped` each bundle is made as one zip, too. Where no
    artifact suits a platform its bundle is left out, unless it `is_required`.
    """

    platforms: tuple[str, ...] = field(default_factory=platform_names)
    is_required: bool = False
    name: str | None = None
    version: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    is_zipped: bool = False

    def __post_init__(self) -> None:
        known = {each.name: each for each in platform_options()}
        for kind, given, legal in (("platform", self.platforms, platform_names()), ("option", self.options, known)):
            unknown = next((each for each in given if each not in legal), None)
            if unknown is not None:
                raise OptionError(f"the {kind} of a bundle must be one of {', '.join(legal)}, got {unknown!r}")
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise OptionError(
                f"--bundle-name must be a letter, then at most 99 letters, digits, '.', '_' and '-', got {self.name!r}"
            )
        if self.version is not None and not _VERSION.fullmatch(self.version):
            raise OptionError(f"--bundle-version must be three numbers such as 1.0.0, got {self.version!r}")
        for option, value in self.options.items():
            known[option].check(value)
            if not any(known[option] in each.options for each in self.rows()):
                raise OptionError(
                    f"--{option} goes with another --platform, got --platform {', '.join(self.platforms)}"
                )

    @property
    def asked(self) -> tuple[str, ...]:
        """The options that ask something of a bundle, as they are typed: without a bundle they would be ignored."""
        given = zip(_COMMON, (self.name, self.version, self.is_zipped), strict=True)
        return tuple(f"--{name}" for name in (*(name for name, value in given if value), *self.options))

    def rows(self) -> tuple[Platform, ...]:
        """The rows of `platforms`, in their order."""
        by_name = {each.name: each for each in PLATFORMS}
        return tuple(by_name[name] for name in self.platforms)

    def possible(self, formats: Collection[str], task: Task = Task.CLASSIFY) -> tuple[Platform, ...]:
        """Those of them that need an artifact of one of these formats, and have code for its task."""
        return tuple(each for each in self.rows() if each.model_format in formats and task in each.tasks)
