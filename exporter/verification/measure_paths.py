"""Compare the kernel paths of files: the usual ones of their runtimes, or those that the user names.

What a path that needs a plug-in is run in, on which images, and what is said of one that fails, is the same for every
task; how two paths' answers are compared is a value that the task gives, a `PathTask`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.formats.chosen_paths import paths_of
from mbexport.formats.path_runner import PathRunner
from mbexport.formats.registry import format_of, open_path, share_of
from mbexport.formats.runner import Runner
from mbexport.formats.subject import Fed
from mbexport.models.data.open import ImageSet
from mbexport.models.preprocess import Preprocess
from mbexport.progress import Progress
from mbexport.verification.kernel_paths import Paths, images_for

Compared = TypeVar("Compared", bound=Fed)
Compared_contra = TypeVar("Compared_contra", bound=Fed, contravariant=True)
PathPair = TypeVar("PathPair")
_FLOATS: Final = (Precision.FP32, Precision.FP16)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathChoice:
    """The kernel paths to compare by their full names, none for the usual ones, and on how many images at most.

    Without `images` each path says that itself.
    """

    names: tuple[str, ...] = ()
    images: int | None = None


USUAL_PATHS: Final = PathChoice()


class Compare(Protocol[Compared_contra, PathPair]):
    """Compares all pairs of paths of `file`, which the `openers` open, on at most `most` images.

    Raises `DataError` for a path that cannot be opened or run.
    """

    def __call__(
        self,
        openers: Mapping[str, Callable[[], Compared_contra]],
        images: ImageSet,
        pixels: Preprocess,
        *,
        file: str,
        most: int,
    ) -> Paths[PathPair]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PathTask(Generic[Compared, PathPair]):
    """How a task compares paths; `failed(a, b, reason)` is the pair of two of which `b` could not be run."""

    compare: Compare[Compared, PathPair]
    failed: Callable[[str, str, str], PathPair]


def measured_paths(
    subjects: Sequence[Compared],
    task: PathTask[Compared, PathPair],
    choice: PathChoice,
    images: ImageSet,
    pixels: Preprocess,
    *,
    progress: Progress,
) -> list[Paths[PathPair]]:
    """The files through the paths that are named, or those that hold integers through the usual ones."""
    if not choice.names:
        integers = [subject for subject in subjects if subject.runner.precision not in _FLOATS]
        return [usual_paths(subject, task, images, pixels) for subject in integers]
    found: list[Paths[PathPair]] = []
    for done, subject in enumerate(subjects):
        progress.step(done, len(subjects), f"kernel paths of {subject.name}")
        if format_of(subject.runner.path).paths:
            found += named_paths(subject, task, choice, images, pixels)
    return found


def usual_paths(
    subject: Compared, task: PathTask[Compared, PathPair], images: ImageSet, pixels: Preprocess
) -> Paths[PathPair]:
    """The file through every usual path of its runtime, pair by pair."""
    names = format_of(subject.runner.path).kernel_paths
    return _compared(subject, task, names, images, pixels, most=_usual_images(subject))


def named_paths(
    subject: Compared,
    task: PathTask[Compared, PathPair],
    choice: PathChoice,
    images: ImageSet,
    pixels: Preprocess,
) -> list[Paths[PathPair]]:
    """The file through those of the named paths that are its format's, with the part of the graph that each takes.

    The usual ones are compared pair by pair, with the default first; each other one is compared with the default, in a
    process of its own. One that cannot be run, or that ends its process, is an entry with the reason.
    """
    file = subject.runner.path
    known, names = format_of(file).kernel_paths, paths_of(choice.names, file)
    usual = tuple(dict.fromkeys((*known[:1], *(name for name in names if name in known))))
    found = []
    if len(usual) > 1:
        most = choice.images or _usual_images(subject)
        found = [_compared(subject, task, usual, images, pixels, most=most, shown=set(names))]
    for name in (each for each in names if each not in known):
        row, _ = format_of(file).path_named(name)
        most = choice.images or row.images or _usual_images(subject)
        found.append(beside_default(name, subject, task, images, pixels, most=most))
    return found


def beside_default(
    name: str,
    subject: Compared,
    task: PathTask[Compared, PathPair],
    images: ImageSet,
    pixels: Preprocess,
    *,
    most: int,
    file: Path | None = None,
) -> Paths[PathPair]:
    """The default path of a file and, in a process of its own, the path of that name, on at most `most` images.

    The latter runs `file`, if it is given: one that was made of the subject's. A path that cannot be run, or that ends
    its process, is an entry with the reason.
    """
    default = format_of(subject.runner.path).kernel_paths[0]
    try:
        with closing(PathRunner(subject.runner, name, file=file)) as runner:
            openers = {
                default: lambda: replace(subject, runner=open_path(subject.runner.path, default)),
                name: lambda: replace(subject, runner=runner),
            }
            found = task.compare(openers, images, pixels, file=subject.name, most=most)
            return replace(found, shares={name: runner.share})
    except DataError as error:
        pair = task.failed(default, name, str(error))
        return Paths(file=subject.name, images=0, names=(default, name), pairs=(pair,))


def _compared(
    subject: Compared,
    task: PathTask[Compared, PathPair],
    names: Sequence[str],
    images: ImageSet,
    pixels: Preprocess,
    *,
    most: int,
    shown: Collection[str] = (),
) -> Paths[PathPair]:
    """These paths pair by pair, with the part of the graph that those in `shown` take."""
    runners: dict[str, Runner] = {}

    def opened(name: str) -> Compared:
        runners[name] = open_path(subject.runner.path, name)
        return replace(subject, runner=runners[name])

    openers = {name: partial(opened, name) for name in names}
    found = task.compare(openers, images, pixels, file=subject.name, most=most)
    return replace(found, shares={name: share_of(runners[name], name) for name in names if name in shown})


def _usual_images(subject: Fed) -> int:
    return images_for(subject.runner.path.stat().st_size, subject.runner.resolution.pixels)
