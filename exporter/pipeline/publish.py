"""Put what a run made into the output folder: what an earlier run left goes first, the proof comes last."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

from mbexport.provenance.manifest import MANIFEST, SIGNATURE, FileFacts, Manifest
from mbexport.report.content import REPORT
from mbexport.report.junit import junit
from mbexport.report.page.render import page
from mbexport.workdir import Workdir

PAGE: Final = "report.html"
JUNIT: Final = "junit.xml"
_PUBLISHED: Final = ".mbexport/published.json"
_VERDICTS: Final = (REPORT, PAGE, JUNIT)

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


def publish(workdir: Workdir, delivery: Delivery, *, earlier: Iterable[str] = ()) -> None:
    """Puts the delivery into the output folder, the report behind what it tells of, the manifest last.

    Files of an earlier delivery that are not in this one are removed, `earlier` among them; those of the user stay.
    An earlier manifest stays until the new one takes its place: whoever is killed before loses nothing but the proof,
    since files that have changed by then are not those that it lists.
    """
    sealed = delivery.sealed()
    files = {**delivery.made, **delivery.told}
    index = workdir.root / _PUBLISHED
    delivered = json.loads(index.read_bytes()) if index.exists() else []
    new = {name for name, content in files.items() if not _holds(workdir.root / name, content)}
    kept = {*delivery.made, *(set(files) - new), *({MANIFEST} & set(sealed))}
    for name in (*_VERDICTS, *delivered, *earlier):
        if name not in kept:
            _remove(workdir, name)
    workdir.write(_PUBLISHED, json.dumps(sorted({*files, *sealed})).encode())
    written = {name: content for name, content in files.items() if name in new}
    for name, content in (*written.items(), *sealed.items()):
        workdir.write(name, content)


def report_files(report: bytes, pictures: Mapping[str, bytes]) -> dict[str, bytes]:
    """The report, last, and the files that show the same, by their names."""
    content = json.loads(report)
    return {PAGE: page(content, pictures), JUNIT: junit(content), REPORT: report}


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _remove(workdir: Workdir, name: str) -> None:
    """Removes a file, and folders that then hold nothing."""
    workdir.remove(name)
    for folder in PurePosixPath(name).parents[:-1]:
        try:
            (workdir.root / folder).rmdir()
        except OSError:  # something else lies there, or it has gone already
            return
