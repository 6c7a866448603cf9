"""Fixtures for all tests: real data, a finished small build, the command line, sessions that keep checkpoints."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import run_in_its_own_process, run_in_process
from hypothesis import HealthCheck, settings

# Nothing may depend on how busy the machine is, nor on the day: a counterexample is kept as an @example.
_ANY_MACHINE = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
# A law is tried on 25 examples all day long, and on 100 by `make test-all`.
settings.register_profile("thorough", _ANY_MACHINE, max_examples=100)
settings.register_profile("quick", _ANY_MACHINE, max_examples=25)
settings.load_profile("quick")

# The caches of all tests are one user's, and nothing is written into that user's home.
os.environ["MBEXPORT_CACHE_SECRET"] = "the tests' own secret, which everybody knows"
os.environ |= {"MBEXPORT_BUILD_CACHE": "none", "MBEXPORT_EXPORT_CACHE": "none"}

ROOT = Path(__file__).resolve().parent.parent
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


class Killed(BaseException):
    """The end of a process in the middle of a training."""


class MemorySession:
    """A training's session that keeps every checkpoint, and may be killed at its `dies_at`-th (from 1).

    `is_written` says whether that last checkpoint still reaches its place.
    """

    def __init__(
        self,
        cache_dir: Path,
        *,
        log_dir: Path | None = None,
        content: bytes | None = None,
        dies_at: int = 0,
        is_written: bool = True,
    ) -> None:
        self._folder, self.log_dir = cache_dir, log_dir
        self.content, self.saved = content, 0
        self._dies_at, self._is_written = dies_at, is_written

    def load(self) -> bytes | None:
        return self.content

    def pixels(self, images: Any, preprocess: Any) -> Any:
        from mbexport.models.training.pixel_store import open_store

        return open_store(self._folder, count=len(images), shape=preprocess.shape)

    def save(self, content: bytes) -> None:
        self.saved += 1
        is_last = self.saved == self._dies_at
        if not is_last or self._is_written:
            self.content = content
        if is_last:
            raise Killed


@pytest.fixture(scope="session", autouse=True)
def _no_cache_of_the_users() -> Iterator[None]:
    """No test takes a stage from another one, or from a run of the user's own, but where it says so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mbexport.pipeline.shared_cache.user_cache", lambda: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_flushed() -> Iterator[None]:
    """No test of this process waits for a disk: a process that ends loses nothing that it wrote."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real weights and images; tests that need it are skipped where it is missing."""
    named = os.environ.get("MBEXPORT_SHARED_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data is missing: set MBEXPORT_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Run the command line in this process: as fast as a function call, once TensorFlow is loaded."""
    return run_in_process


@pytest.fixture(scope="session")
def cli_process() -> Cli:
    """Run the command line in a process of its own, for tests of the process itself."""
    return run_in_its_own_process


_HEAVY = re.compile(r"^(?:import|from) (?:tensorflow|tf_keras)\b|^pytestmark = .*\bmark\.run\b", re.MULTILINE)


_BUILDS = {"small_build", "small_shapes"}


def _is_heavy(module: Path) -> bool:
    """Whether a module of tests loads TensorFlow, which takes many seconds, or says that all of its tests are runs."""
    return _HEAVY.search(module.read_text("utf-8")) is not None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where runs are left out, their modules are not even imported."""
    is_light = "not run" in config.option.markexpr
    return True if is_light and collection_path.match("test_*.py") and _is_heavy(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as runs the tests of heavy modules, and those that read a finished build."""
    heavy = {path for path in {item.path for item in items} if _is_heavy(path)}
    for item in items:
        if item.path in heavy or _BUILDS & set(getattr(item, "fixturenames", ())):
            item.add_marker("run")


@pytest.fixture(scope="session")
def small_build() -> Path:
    """The folder of a finished build of a small trained network; nothing may be written into it."""
    from small_build import small_build  # only workers that need it pay for the import

    return small_build()


@pytest.fixture(scope="session")
def small_shapes(shared_data) -> Any:
    """Photos of coloured rectangles, and the folder of a finished build of a detector of them; nothing may be written.

    It is trained from ImageNet's weights: from scratch so few photos teach little.
    """
    from small_shapes import small_shapes

    return small_shapes(shared_data / "weights" / "mobilenet_2_5_224_tf.h5")


@pytest.fixture(scope="session")
def colour_network() -> Callable[..., Path]:
    """Write an .onnx that averages the picture's colours and multiplies them with a matrix."""
    from colour_network import write_colour_network

    return write_colour_network


@pytest.fixture
def without_reader() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run Python with a stdout whose reader has gone, as behind `| head`."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        reading, writing = os.pipe()
        os.close(reading)
        try:
            command = [sys.executable, *map(str, arguments)]
            return subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
        finally:
            os.close(writing)

    return run


@pytest.fixture(scope="session")
def killed() -> type[Killed]:
    """What a session raises when it is killed."""
    return Killed


@pytest.fixture(scope="session")
def session_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., MemorySession]:
    """Makes a session for one training, in a folder of its own unless told otherwise."""

    def make(**options: Any) -> MemorySession:
        return MemorySession(tmp_path_factory.mktemp("session"), **options)

    return make
