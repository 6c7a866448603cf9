"""Put what a run made into the output folder: what an earlier run left goes first, the proof comes last."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from mbexport.pipeline.earlier import Earlier
from mbexport.provenance.manifest import MANIFEST, SIGNATURE, FileFacts, Manifest
from mbexport.report.content import REPORT
from mbexport.report.junit import junit
from mbexport.report.page.render import page
from mbexport.workdir import Workdir

PAGE: Final = "report.html"
JUNIT: Final = "junit.xml"
VERDICTS: Final = (REPORT, PAGE, JUNIT)

Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the user gets, by names in the output folder: `made` repeats byte for byte, `told` is of this run alone.

    A `manifest` lists all of it; what `sign` makes of its bytes lies beside it.
    """

    made: Mapping[str, bytes]
    told: Mapping[str, bytes] = field(default_factory=dict)
    manifest: Manifest | None = None
    sign: Sign | None = None

    def sealed(self) -> dict[str, bytes]:
        """The manifest and its signature, where there are such."""
        if self.manifest is None:
            return {}
        content = self.listing().to_bytes()
        return {MANIFEST: content} | ({SIGNATURE: self.sign(content)} if self.sign else {})

    def listing(self) -> Manifest:
        """The manifest with its files; there must be one."""
        assert self.manifest is not None
        made = {name: FileFacts.of(content) for name, content in self.made.items()}
        told = {name: FileFacts.of(content, repeats=False) for name, content in self.told.items()}
        return replace(self.manifest, files=made | told)


def publish(workdir: Workdir, delivery: Delivery, *, force: bool = False) -> None:
    """Puts the delivery into the output folder, the report behind what it tells of, the manifest last.

    Files of earlier deliveries that are not in this one are removed; those of the user stay. An earlier manifest stays
    until the new one takes its place: whoever is killed before loses nothing but the proof, since files that have
    changed by then are not those that it lists. Raises `OutputError`, before anything is changed, for a file that no
    run left as it is and that would have to be replaced or removed, unless `force` allows that.
    """
    sealed = delivery.sealed()
    files = {**delivery.made, **delivery.told, **sealed}
    hashes = _hashes(files)
    earlier = Earlier.in_folder(workdir, force=force)
    found = earlier.require_replaceable({**dict.fromkeys(earlier.listed), **hashes})
    new = {name for name in files if found[name] != hashes[name]}
    if not new.isdisjoint(sealed):
        new |= set(sealed)  # a signature is of the manifest beside it
    kept = {*delivery.made, *(set(files) - new), *({MANIFEST} & set(sealed))}
    during = _held(hashes, found, earlier.listed)
    earlier.record(during)
    for name in found:
        if name not in kept:
            _remove(workdir, name)
    for name, content in files.items():
        if name in new:
            workdir.write(name, content)
    after = _held(hashes)
    if during != after:
        earlier.record(after)


def add(workdir: Workdir, files: Mapping[str, bytes], *, force: bool = False) -> None:
    """Puts files into the output folder, in the place of those that an earlier run left there alone.

    Raises `OutputError` as `publish` does, and for the folder of a finished run, which they would make unsound.
    """
    earlier = Earlier.in_folder(workdir, force=force)
    earlier.require_unfinished()
    hashes = _hashes(files)
    found = earlier.require_replaceable(hashes)
    earlier.record(_held(hashes, found, earlier.listed))
    for name, content in files.items():
        workdir.write(name, content)


def require_room(workdir: Workdir, names: Iterable[str], *, force: bool = False, adds: bool = False) -> None:
    """Raises `OutputError` before hours of work if `publish`, or with `adds` `add`, would refuse to write the files.

    Names that end in / are those of folders.
    """
    earlier = Earlier.in_folder(workdir, force=force)
    if adds:
        earlier.require_unfinished()
    names = list(names)
    earlier.require_replaceable(dict.fromkeys(name for name in names if not name.endswith("/")))
    for name in names:
        if name.endswith("/"):
            earlier.require_folder(name.rstrip("/"))


def report_files(report: bytes, pictures: Mapping[str, bytes]) -> dict[str, bytes]:
    """The report, last, and the files that show the same, by their names."""
    content = json.loads(report)
    return {PAGE: page(content, pictures), JUNIT: junit(content), REPORT: report}


def _hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def _held(
    made: Mapping[str, str],
    found: Mapping[str, str | None] = MappingProxyType({}),
    before: Mapping[str, Iterable[str]] = MappingProxyType({}),
) -> dict[str, set[str]]:
    """The sha256 that each file may have until all are made: those it has, had or gets."""
    held = {name: set(hashes) for name, hashes in before.items()}
    for name, sha256 in (*made.items(), *found.items()):
        if sha256 is not None:
            held.setdefault(name, set()).add(sha256)
    return held


def _remove(workdir: Workdir, name: str) -> None:
    """Removes a file, and folders that then hold nothing; a run that was killed may have begun with that."""
    workdir.remove(name)
    for folder in PurePosixPath(name).parents[:-1]:
        if not workdir.remove_empty(folder.as_posix()):
            return
