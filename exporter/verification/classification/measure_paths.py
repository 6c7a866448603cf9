"""Compare the kernel paths of a classifier's file: the usual ones of its runtime, or those that the user names."""

from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.formats.chosen_paths import paths_of
from mbexport.formats.path_runner import PathRunner
from mbexport.formats.registry import format_of, open_path, share_of
from mbexport.formats.runner import Runner
from mbexport.formats.subject import Subject
from mbexport.models.data.open import ImageSet
from mbexport.models.preprocess import Preprocess
from mbexport.verification.classification.kernel_paths import PathPair, Paths, compare_paths
from mbexport.verification.kernel_paths import images_for


@dataclass(frozen=True, slots=True, kw_only=True)
class PathChoice:
    """The kernel paths to compare by their full names, none for the usual ones, and on how many images at most.

    Without `images` each path says that itself.
    """

    names: tuple[str, ...] = ()
    images: int | None = None


USUAL_PATHS: Final = PathChoice()


def usual_paths(subject: Subject, images: ImageSet, pixels: Preprocess) -> Paths:
    """The file through every usual path of its runtime, pair by pair."""
    names = format_of(subject.runner.path).kernel_paths
    return _compared(subject, names, images, pixels, most=_usual_images(subject))


def named_paths(subject: Subject, choice: PathChoice, images: ImageSet, pixels: Preprocess) -> list[Paths]:
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
        found = [_compared(subject, usual, images, pixels, most=most, shown=set(names))]
    for name in (each for each in names if each not in known):
        row, _ = format_of(file).path_named(name)
        most = choice.images or row.images or _usual_images(subject)
        found.append(beside_default(name, subject, images, pixels, most=most))
    return found


def beside_default(
    name: str, subject: Subject, images: ImageSet, pixels: Preprocess, *, most: int, file: Path | None = None
) -> Paths:
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
            found = compare_paths(openers, images, pixels, file=subject.name, most=most)
            return replace(found, shares={name: runner.share})
    except DataError as error:
        pair = PathPair.failed(default, name, str(error))
        return Paths(file=subject.name, images=0, names=(default, name), pairs=(pair,))


def _compared(
    subject: Subject,
    names: Sequence[str],
    images: ImageSet,
    pixels: Preprocess,
    *,
    most: int,
    shown: Collection[str] = (),
) -> Paths:
    """These paths pair by pair, with the part of the graph that those in `shown` take."""
    runners: dict[str, Runner] = {}

    def opened(name: str) -> Subject:
        runners[name] = open_path(subject.runner.path, name)
        return replace(subject, runner=runners[name])

    openers = {name: partial(opened, name) for name in names}
    found = compare_paths(openers, images, pixels, file=subject.name, most=most)
    return replace(found, shares={name: share_of(runners[name], name) for name in names if name in shown})


def _usual_images(subject: Subject) -> int:
    return images_for(subject.runner.path.stat().st_size, subject.runner.resolution.pixels)
