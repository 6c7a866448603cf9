"""The Java wrapper compiled: `make java-classes` writes what is committed, tests compare it.

The classes are those of javac 17 with --release 8, against stubs of the classes of Android and LiteRT.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from mbexport.bundles.android import wrapper
from mbexport.bundles.android.runtimes import RUNTIMES, Runtime
from mbexport.bundles.files import zip_bytes
from mbexport.models.task import Task

STUBS = Path(__file__).parent / "exporter/bundles/android/stubs"
ANDROID = Path(__file__).parent.parent / "exporter/bundles/android"
JAVAC = (
    "javac",
    "-g:source,lines",
    "-proc:none",
    "-encoding",
    "UTF-8",
    "-Xlint:all,-options",
    "-Werror",
)


def is_javac_17() -> bool:
    """Whether this machine has the compiler whose classes are committed."""
    if not shutil.which("javac"):
        return False
    told = subprocess.run(["javac", "-version"], check=True, capture_output=True, text=True)
    return re.match(r"javac 17\b", told.stdout or told.stderr) is not None


def compiled(sources: dict[str, bytes], *, class_path: tuple[Path, ...] = (), release: str = "8") -> dict[str, bytes]:
    """The class files of Java sources by their paths: against `class_path`, or if there is none against the stubs."""
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch, "source"), Path(scratch, "target")
        for name, content in sources.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(content)
        files = [str(source / name) for name in sorted(sources)]
        known = ["-cp", ":".join(map(str, class_path))] if class_path else ["-sourcepath", str(STUBS)]
        subprocess.run([*JAVAC, "--release", release, "-d", str(target), *known, "-implicit:none", *files], check=True)
        return {each.relative_to(target).as_posix(): each.read_bytes() for each in target.rglob("*.class")}


def wrapper_jar(task: Task, runtime: Runtime) -> bytes:
    """The jar that lies beside the wrapper's sources; without the test, which is for an app's own."""
    sources = wrapper.sources(wrapper.PACKAGE, task, runtime)
    del sources[wrapper.TEST]
    return zip_bytes(compiled(sources))


if __name__ == "__main__":
    for each in wrapper.FOLDERS:
        for runtime in RUNTIMES:
            (ANDROID / wrapper.classes_file(each, runtime)).write_bytes(wrapper_jar(each, runtime))
