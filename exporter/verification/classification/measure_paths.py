"""Compare the kernel paths of a classifier's file: the usual ones of its runtime, or those that the user names."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from mbexport.errors import DataError
from mbexport.formats.chosen_paths import paths_of
from mbexport.formats.registry import format_of, open_path
from mbexport.formats.runner import Runner
from mbexport.formats.subject import Subject
from mbexport.formats.trial import failure_through
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
    """The file through those of the named paths that are its format's.

    The usual ones are compared pair by pair, with the default first; each other one is compared with the default. One
    that cannot be run, or that ends the process which tries it first, is an entry with the reason.
    """
    file = subject.runner.path
    known, names = format_of(file).kernel_paths, paths_of(choice.names, file)
    usual = tuple(dict.fromkeys((*known[:1], *(name for name in names if name in known))))
    most = choice.images or _usual_images(subject)
    found = [_compared(subject, usual, images, pixels, most=most, has_shares=True)] if len(usual) > 1 else []
    return found + [_beside(name, subject, choice, images, pixels) for name in names if name not in known]


def _beside(name: str, subject: Subject, choice: PathChoice, images: ImageSet, pixels: Preprocess) -> Paths:
    """The path of that name beside the default one."""
    own = format_of(subject.runner.path)
    default, (row, _) = own.kernel_paths[0], own.path_named(name)
    most = choice.images or row.images or _usual_images(subject)
    failure = failure_through(subject.runner.path, name)
    if failure is None:
        try:
            return _compared(subject, (default, name), images, pixels, most=most, has_shares=True)
        except DataError as error:
            failure = str(error)
    pair = PathPair.failed(default, name, failure)
    return Paths(file=subject.name, images=0, names=(default, name), pairs=(pair,))


def _compared(
    subject: Subject,
    names: Sequence[str],
    images: ImageSet,
    pixels: Preprocess,
    *,
    most: int,
    has_shares: bool = False,
) -> Paths:
    path, runners = subject.runner.path, dict[str, Runner]()

    def opened(name: str) -> Subject:
        runners[name] = open_path(path, name)
        return replace(subject, runner=runners[name])

    openers = {name: partial(opened, name) for name in names}
    found = compare_paths(openers, images, pixels, file=subject.name, most=most)
    if not has_shares:
        return found
    rows = {name: format_of(path).path_named(name)[0] for name in names}
    shares = {name: row.share(runners[name]) for name, row in rows.items() if row.share is not None}
    return replace(found, shares=shares)


def _usual_images(subject: Subject) -> int:
    return images_for(subject.runner.path.stat().st_size, subject.runner.resolution.pixels)
