"""Change real files at random, and see that each is used or refused in one line: `make fuzz`.

The same seed gives the same cases. Cases run in worker processes, which a native crash or a hang may end; those that
ended so, or with a traceback, are listed with their command, and their files are kept.
"""

import argparse
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, Final

from fuzz.corpus import FOLDER, corpus
from small_build import ROOT

_HANG_S: Final = 240  # the machine may be busy
_PEAK_BYTES: Final = 2 << 30
BAD: Final = ("traceback", "unclear", "crash", "hang")
ENDS: Final = ("clear", "accepted", *BAD)
_FAILED: Final = ROOT / "build" / "tests" / "fuzz_failed"


@dataclass(slots=True, kw_only=True)
class Counts:
    """How many cases ended how, of which file; the bad ones in full; processor time and the largest process."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    bad: list[dict[str, Any]] = field(default_factory=list)
    cpu_s: float = 0.0
    peak_bytes: int = 0

    def add(self, answer: dict[str, Any]) -> None:
        """Count one case."""
        self.ends[answer["name"], answer["end"]] += 1
        self.cpu_s += answer.get("cpu_s", 0)
        self.peak_bytes = max(self.peak_bytes, answer.get("peak_bytes", 0))
        if answer["end"] in BAD:
            self.bad.append(answer)

    @property
    def is_sound(self) -> bool:
        """Whether no case ended badly, and no process took too much memory."""
        return not self.bad and self.peak_bytes < _PEAK_BYTES

    def table(self) -> str:
        """A line for each kind of file."""
        names = sorted({name for name, _ in self.ends})
        rows = [("", *ENDS)]
        rows += [(name, *(str(self.ends[name, end]) for end in ENDS)) for name in names]
        rows.append(("all", *(str(sum(self.ends[name, end] for name in names)) for end in ENDS)))
        lines = [f"{row[0]:<16}" + "".join(f"{each:>10}" for each in row[1:]) for row in rows]
        return "\n".join([*lines, f"{self.cpu_s:.0f} s of processor time, peak {self.peak_bytes / 2**20:.0f} MiB"])


class _Worker:
    """A process that runs cases, and is replaced when one ends it."""

    def __init__(self, seed: int, folder: Path) -> None:
        command = [sys.executable, "-m", "fuzz.worker", str(seed), str(folder)]
        paths = [str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        self.answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put("")

    def run(self, number: int) -> dict[str, Any]:
        """How the case of that number ended."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        try:
            line = self.answers.get(timeout=_HANG_S)
        except queue.Empty:
            self.end()
            return {"number": number, "name": "?", "end": "hang"}
        if not line:
            return {"number": number, "name": "?", "end": "crash", "said": f"exit code {self.process.wait()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.wait()


def fuzz(cases: range, *, seed: int) -> Counts:
    """Run these cases, and count how they ended."""
    corpus()
    counts = Counts()
    with tempfile.TemporaryDirectory() as folder:
        worker = _Worker(seed, Path(folder))
        try:
            for number in cases:
                answer = worker.run(number)
                counts.add(answer)
                if answer["end"] in BAD:
                    _keep(Path(folder) / "case", answer)
                if worker.process.poll() is not None:
                    worker = _Worker(seed, Path(folder))
        except KeyboardInterrupt:  # the counts so far are shown
            pass
        finally:
            worker.end()
    return counts


def _keep(folder: Path, answer: dict[str, Any]) -> None:
    kept = _FAILED / str(answer["number"])
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(folder, kept)
    (kept / "answer.json").write_text(json.dumps(answer, indent=1))


def main() -> int:
    """Print the counts; the exit code is 1 if a case ended badly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    counts = fuzz(range(given.first, given.first + given.cases), seed=given.seed)
    for answer in counts.bad:
        print(json.dumps(answer)[:1500])
    print(counts.table())
    print(f"files: {FOLDER}, those of bad cases: {_FAILED}")
    return 0 if counts.is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
