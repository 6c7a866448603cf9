"""Kill, interrupt and starve runs at many moments, and look whether the next run makes the same bytes.

`make test-crashes` prints how often; `ARGS=--quick` tries a few moments of each kind. A run takes place in a process of
its own, forked from this one. Its stages give again what one real build made, so that hundreds of runs take minutes;
what writes, moves and removes files is the product's own.
"""

import argparse
import errno
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from command_line import run_in_process
from delivered import repeating
from faults import failing_disk
from small_build import OPTIONS, small_build

from mbexport.cli import main as mbexport
from mbexport.pipeline import build, publish
from mbexport.pipeline.context import Context
from mbexport.pipeline.stage import Files, Stage
from mbexport.provenance import sbom

os.environ.setdefault("MBEXPORT_CACHE_SECRET", "the tests' own secret, which everybody knows")
_LOG = "log"
_DIED = 137  # as a shell says of SIGKILL
Fail = Callable[[str, Any], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where runs take place: the output folder, its parent, which holds nothing else, and a folder for logs."""

    root: Path

    @property
    def out(self) -> Path:
        return self.root / "here" / "out"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    def clean(self, finished: Path | None = None) -> None:
        """Nothing is left; with `finished` the output folder is a copy of that one."""
        for each in ("here", "tmp"):
            shutil.rmtree(self.root / each, ignore_errors=True)
            (self.root / each).mkdir(parents=True)
        if finished is not None:
            shutil.copytree(finished, self.out, copy_function=shutil.copy2)


def die(name: str, first: Any) -> None:
    """End the process as a kill does; of a file that was about to be flushed, half has reached the disk."""
    if name == "fsync":
        size = os.fstat(first).st_size
        with suppress(OSError):  # of a folder
            os.ftruncate(first, size // 2)
    os._exit(_DIED)


def fill(name: str, first: Any) -> None:
    """The disk is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def sending(number: int) -> Fail:
    """A signal comes."""
    return lambda _name, _first: signal.raise_signal(number)


class Runs:
    """Runs in processes of their own."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.failures: list[str] = []

    def run(self, words: Sequence[str], fails_at: int | None = None, fail: Fail = die) -> tuple[int, int]:
        """The exit code of `mbexport WORDS`, and how many operations changed the disk."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            self._child(words, fails_at, fail, writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            count = pipe.read()
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status), int(count or 0)

    def _child(self, words: Sequence[str], fails_at: int | None, fail: Fail, writing: int) -> None:
        code = 99
        try:
            log = os.open(self.place.root / _LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.chdir(self.place.root)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which whoever started this script may ignore
            tempfile.tempdir = str(self.place.temporary)
            with failing_disk(fails_at, fail) as disk:
                try:
                    mbexport(list(words))
                except SystemExit as error:
                    code = int(error.code or 0)
                finally:
                    os.write(writing, str(disk.count).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    @property
    def log(self) -> str:
        return (self.place.root / _LOG).read_text(errors="replace")

    def expect(self, is_right: bool, what: str) -> bool:
        """Remembers, and prints, what is not as it must be."""
        if not is_right:
            self.failures.append(what)
            sys.stdout.write(f"FAILED {what}\n{self.log}\n")
        return is_right


def remembering(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The function, which is not asked twice for the same."""
    known: dict[str, dict[str, Any]] = {}

    def remembered(given: Any) -> dict[str, Any]:
        if str(given) not in known:
            known[str(given)] = function(given)
        return dict(known[str(given)])

    return remembered


@contextmanager
def replayed(finished: Path) -> Iterator[None]:
    """Let each stage give what it made in the finished build."""
    stages = finished / ".mbexport" / "stages"
    made = {
        folder.name: {path.name: path for path in sorted(folder.iterdir()) if path.name != "record.json"}
        for folder in stages.iterdir()
    }
    made["golden"] = {
        path.relative_to(stages / "golden").as_posix(): path
        for path in sorted((stages / "golden").rglob("*"))
        if path.is_file() and path.name != "record.json"
    }

    def again(stage: Stage) -> Callable[[Context], Files]:
        return lambda _: {name: path.read_bytes() for name, path in made[stage.name].items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "STAGES", tuple(replace(stage, work=again(stage)) for stage in build.STAGES))
        # Drawing takes seconds, and so does asking for all that is installed.
        patch.setattr(publish, "page", lambda report, _: json.dumps(report).encode())
        patch.setattr(sbom, "closure", remembering(sbom.closure))
        yield


class Crashes:
    """Every kind of crash, tried at some moments; each gives how often it was tried."""

    def __init__(self, runs: Runs, reference: Path, seed: int) -> None:
        self.runs, self.place, self.reference = runs, runs.place, reference
        self.random = random.Random(seed)
        self.build = crash_free(self.place.out)
        self.bundle = ["bundle", str(self.place.out), "--android-package", "com.example.trees", "--zip"]
        self.rebuild = ["rebuild", "--check", str(reference / "manifest.json")]
        self.bytes = repeating(reference)

    def moments(self, count: int, operations: int) -> list[int]:
        """Some of the operations, from 1; all of them where `count` is as many."""
        return sorted(self.random.sample(range(1, operations + 1), min(count, operations)))

    def require_reference(self, what: str) -> None:
        """The next run ends well with the bytes of the undisturbed one, and nothing else lies anywhere."""
        code, _ = self.runs.run(self.build)
        out = self.place.out
        if not self.runs.expect(code in (0, 1), f"{what}: the next run ended with {code}"):
            return
        self.runs.expect(repeating(out) == self.bytes, f"{what}: other bytes")
        self.require_sound(what)

    def require_sound(self, what: str) -> None:
        code, _ = self.runs.run(["bundle", "--check", str(self.place.out)])
        self.runs.expect(code == 0, f"{what}: not sound")
        left = [*(self.place.out / ".mbexport" / "tmp").iterdir(), *self.place.temporary.iterdir()]
        left += [path for path in self.place.out.parent.iterdir() if path != self.place.out]
        self.runs.expect(not left, f"{what}: left {left}")

    def kills_of_build(self, count: int) -> int:
        self.place.clean()
        _, operations = self.runs.run(self.build)
        moments = self.moments(count, operations)
        for number in moments:
            self.place.clean()
            code, _ = self.runs.run(self.build, number)
            self.runs.expect(code == _DIED, f"build killed at {number}: ended with {code}")
            self.require_reference(f"build killed at {number} of {operations}")
        return len(moments)

    def kills_of_repeated_build(self, count: int) -> int:
        """A build of other options, in the folder of a finished one."""
        words = [*self.build, "--license", "MIT"]
        self.place.clean(self.reference)
        _, operations = self.runs.run(words)
        moments = self.moments(count, operations)
        for number in moments:
            self.place.clean(self.reference)
            self.runs.run(words, number)
            self.require_reference(f"repeated build killed at {number} of {operations}")
        return len(moments)

    def kills_of_bundle(self, count: int) -> int:
        self.place.clean(self.reference)
        _, operations = self.runs.run(self.bundle)
        expected = repeating(self.place.out)
        moments = self.moments(count, operations)
        for number in moments:
            self.place.clean(self.reference)
            code, _ = self.runs.run(self.bundle, number)
            self.runs.expect(code == _DIED, f"bundle killed at {number}: ended with {code}")
            code, _ = self.runs.run(self.bundle)
            what = f"bundle killed at {number} of {operations}"
            if self.runs.expect(code == 0, f"{what}: the next run ended with {code}"):
                self.runs.expect(repeating(self.place.out) == expected, f"{what}: other bytes")
                self.require_sound(what)
        return len(moments)

    def kills_of_rebuild(self, count: int) -> int:
        self.place.clean()
        _, operations = self.runs.run(self.rebuild)
        moments = self.moments(count, operations)
        for number in moments:
            self.place.clean()
            self.runs.run(self.rebuild, number)
            code, _ = self.runs.run(self.rebuild)
            what = f"rebuild killed at {number} of {operations}"
            self.runs.expect(code == 0, f"{what}: the next run ended with {code}")
            left = list(self.place.temporary.iterdir())
            self.runs.expect(not left, f"{what}: left {left}")
        return len(moments)

    def signals(self, count: int) -> int:
        self.place.clean()
        _, operations = self.runs.run(self.build)
        moments = self.moments(count, operations)
        for index, number in enumerate(moments):
            sent = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[index % 3]
            self.place.clean()
            code, _ = self.runs.run(self.build, number, sending(sent))
            what = f"{sent.name} at {number} of {operations}"
            self.runs.expect(code == 128 + sent, f"{what}: ended with {code}")
            self.require_reference(what)
        return len(moments)

    def full_disks(self, count: int) -> int:
        self.place.clean()
        _, operations = self.runs.run(self.build)
        moments = self.moments(count, operations)
        for number in moments:
            self.place.clean()
            code, _ = self.runs.run(self.build, number, fill)
            what = f"full disk at {number} of {operations}"
            # A folder that cannot be removed because nothing is in it any more ends no run.
            self.runs.expect(code in (0, 1, 3), f"{what}: ended with {code}")
            self.runs.expect("Traceback" not in self.runs.log, f"{what}: a traceback")
            self.require_reference(what)
        return len(moments)

    def damaged_caches(self, count: int) -> int:
        files = sorted(
            path.relative_to(self.reference).as_posix()
            for path in (self.reference / ".mbexport").rglob("*")
            if path.is_file() and path.name != "lock"
        )
        cases = [(name, damage) for name in files for damage in DAMAGES]
        self.random.shuffle(cases)
        for name, damage in cases[:count]:
            self.place.clean(self.reference)
            DAMAGES[damage](self.place.out / name)
            self.require_reference(f"{name} {damage}")
        return min(count, len(cases))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _make_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "with a byte changed": _flip,
    "missing": Path.unlink,
    "a pipe": _make_pipe,
    "a link to an endless device": _make_link,
}
# Kinds of crashes, and how often each is tried: at most, and with --quick.
COUNTS = {
    "kills_of_build": (200, 6),
    "kills_of_repeated_build": (60, 3),
    "kills_of_bundle": (1_000, 6),
    "kills_of_rebuild": (20, 2),
    "signals": (24, 3),
    "full_disks": (40, 4),
    "damaged_caches": (120, 6),
}


def crash_free(out: Path) -> list[str]:
    """The words of the build that all others are compared with."""
    return ["build", *OPTIONS, "--out", str(out)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how often each kind was tried, and what was not as it must be; 1 if anything was not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few moments of each kind")
    parser.add_argument("--kinds", nargs="+", choices=list(COUNTS), default=list(COUNTS), help="these kinds alone")
    parser.add_argument("--most", type=int, default=sys.maxsize, help="moments of each kind, at most")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    finished = small_build()
    with tempfile.TemporaryDirectory(prefix="crashes-") as folder, replayed(finished):
        runs = Runs(Place(root=Path(folder)))
        runs.place.clean()
        run_in_process(*crash_free(Path(folder) / "warm"))  # what it imports and remembers, the forked processes have
        reference = Path(folder) / "reference"
        code, _ = runs.run(crash_free(reference))
        if not runs.expect(code in (0, 1), f"the undisturbed build ended with {code}"):
            return 1
        crashes = Crashes(runs, reference, given.seed)
        for kind in given.kinds:
            before = len(runs.failures)
            tried = getattr(crashes, kind)(min(given.most, COUNTS[kind][given.quick]))
            sys.stdout.write(f"{kind:<24} {tried:>5} tried, {len(runs.failures) - before} failed\n")
            sys.stdout.flush()
    return 1 if runs.failures else 0


if __name__ == "__main__":
    sys.exit(main())
