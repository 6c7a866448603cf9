"""Jobs on a Ray cluster of two nodes of this machine: lost ones, ended ones, their environment, the handshake."""

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from small_cluster import CannotStartError, SmallCluster, free_port

from mbexport.errors import OptionError
from mbexport.sweep import handshake, ray_connection
from mbexport.sweep.handshake import Shared
from mbexport.sweep.job import Job
from mbexport.sweep.ray_cluster import RayCluster
from mbexport.sweep.ray_connection import connection
from mbexport.sweep.ray_nodes import Nodes

pytestmark = pytest.mark.run

# A job does this in the place of `mbexport`'s command, and goes on with the command.
_ACTS = """
import os, sys
if "mbexport" in sys.orig_argv and "MB_ACT" in os.environ:
    exec(os.environ["MB_ACT"])
"""
_DIE_ONCE = """
from pathlib import Path
marker = Path(os.environ["MB_MARKER"])
if not marker.exists():
    marker.touch()
    os.kill(os.getpid(), 9)
"""
_TELL = """
import json, signal
told = {"variables": dict(os.environ), "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "ignored": signal.getsignal(signal.SIGINT) is signal.SIG_IGN}
open(os.environ["MB_MARKER"], "w").write(json.dumps(told))
"""
_FIND = "import importlib.util, sys; sys.exit(importlib.util.find_spec('mbexport') is None)"
_WAIT = """
import time
open(os.environ["MB_MARKER"], "w").write(str(os.getpid()))
time.sleep(120)
"""
# It waits in its first attempt, until its node is killed.
_WAIT_ONCE = f"if not os.path.exists(os.environ['MB_MARKER']):{_WAIT.replace(chr(10), chr(10) + '    ')}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[SmallCluster]:
    if importlib.util.find_spec("ray") is None:  # imported, it would already have read its variables
        pytest.skip("ray is not installed: pip install 'mbexport[sweep]'")
    made = None
    try:
        made = SmallCluster(tmp_path_factory.mktemp("cluster"))
        made.add("second")
    except CannotStartError as error:
        if made is not None:
            made.stop()
        pytest.skip(f"Ray cannot start here: {error}")
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def ray(cluster):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(cluster.home))
        with connection(cluster.address) as ray:
            yield ray


@pytest.fixture
def shared(tmp_path) -> Shared:
    return Shared(out=tmp_path / "sweep", data="digits")


@pytest.fixture
def nodes(ray, cluster, shared) -> Nodes:
    """The nodes of the cluster, one of which an earlier test may have killed."""
    if "second" not in cluster.nodes:
        cluster.add("second")
    _wait_for(ray, len(cluster.nodes))
    made = Nodes(ray=ray, shared=shared)
    made.shake_hands(_nothing)
    assert len(made.ready) == 2
    return made


@pytest.fixture
def engine(ray, nodes) -> RayCluster:
    return RayCluster(ray, nodes, 1)


@pytest.fixture
def job(tmp_path):
    (tmp_path / "acts").mkdir()
    (tmp_path / "acts" / "sitecustomize.py").write_text(_ACTS)
    path = os.pathsep.join([str(tmp_path / "acts"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])

    def make(name: str, act: str = "", *arguments: str) -> Job:
        return Job(
            name=name,
            arguments=arguments or ("cost", "--alpha", "0.5"),
            folder=tmp_path,
            out=tmp_path / name,
            root=tmp_path,
            log=tmp_path / f"{name}.log",
            environment={"PYTHONPATH": path, "MB_ACT": act, "MB_MARKER": str(tmp_path / f"{name}.marker")},
        )

    return make


def _nothing() -> None:
    pass


def test_jobs_run_on_both_nodes(engine, job):
    jobs = [job(f"{index}") for index in range(4)]
    ended = list(engine.run(jobs, _nothing))
    assert {each.name for each in ended} == {"0", "1", "2", "3"}
    assert {(each.code, each.attempts, each.reason) for each in ended} == {(0, 1, "")}
    assert {each.node for each in ended} == set(engine.nodes)
    assert all(0 < each.seconds < 60 for each in ended)
    assert "mult-adds" in jobs[0].log.read_text()


def test_a_killed_child_is_run_again_and_answers_of_its_own_are_not(engine, job):
    jobs = [
        job("once", _DIE_ONCE),
        job("always", "os.kill(os.getpid(), 9)"),
        job("bad", "", "cost", "--alpha", "seven"),
        job("failed", "os._exit(3)"),
        job("gate", "os._exit(1)"),
    ]
    ended = {each.name: each for each in engine.run(jobs, _nothing)}
    found = {name: (each.code, each.exit_code, each.attempts) for name, each in ended.items()}
    assert found == {
        "once": (0, 0, 2),
        "always": (-signal.SIGKILL, 3, 3),
        "bad": (2, 2, 1),
        "failed": (3, 3, 1),
        "gate": (1, 1, 1),
    }
    assert ended["once"].reason.startswith("signal 9 on node ")


def test_a_job_of_a_killed_node_is_done_by_the_other(engine, cluster, job):
    jobs = [job("a", _WAIT_ONCE), job("b", _WAIT_ONCE)]
    second = cluster.nodes["second"].pid
    killed: list[int] = []

    def kill_the_second_node() -> None:
        if not killed and all(_pid(each) for each in jobs):
            killed.extend(sorted((_pid(each) for each in jobs), key=lambda pid: _has_ancestor(pid, second)))
            assert [_has_ancestor(pid, second) for pid in killed] == [False, True]
            cluster.kill("second")
            os.kill(killed[0], signal.SIGKILL)  # the other would wait for two minutes

    ended = {each.name: each for each in engine.run(jobs, kill_the_second_node)}
    assert {each.code for each in ended.values()} == {0}
    assert {each.attempts for each in ended.values()} == {2}
    assert len({each.node for each in ended.values()}) == 1
    assert sorted(each.reason.split()[0] for each in ended.values()) == ["node", "signal"]
    assert not psutil.pid_exists(killed[1])  # it did not outlive its node


def test_a_node_that_joins_is_asked_before_it_is_used(ray, cluster, shared, job):
    if "second" in cluster.nodes:
        cluster.kill("second")
    _wait_for(ray, 1)
    nodes = Nodes(ray=ray, shared=shared)
    nodes.shake_hands(_nothing)
    engine = RayCluster(ray, nodes, 1)
    assert len(engine.nodes) == 1
    cluster.add("stranger", MBEXPORT_CACHE_SECRET="a secret that no other node of this cluster has")
    cluster.add("second")
    time.sleep(5)
    ended = list(engine.run([job(f"{index}", "import time; time.sleep(3)") for index in range(6)], _nothing))
    cluster.kill("stranger")
    assert [each.code for each in ended] == [0] * 6
    assert len({each.node for each in ended}) == 2
    assert [each.startswith("not used: --address: node ") for each in engine.warnings] == [True]
    assert "cache secret" in engine.warnings[0]


def test_a_job_has_the_environment_of_its_node(engine, cluster, job):
    told = job("told", _TELL)
    assert [each.code for each in engine.run([told], _nothing)] == [0]
    found = json.loads(Path(told.environment["MB_MARKER"]).read_text())
    variables = found["variables"]
    expected = {name: value for name, value in cluster.environment.items() if not name.startswith("RAY_")}
    expected = told.variables(expected)
    assert variables.keys() - expected.keys() <= {"LC_CTYPE"}  # Python's own, where there is no locale
    assert {name: value for name, value in variables.items() if name in expected} == expected
    assert "OMP_NUM_THREADS" not in variables
    assert (found["blocked"], found["ignored"]) == (0, False)


def test_an_interrupt_leaves_no_child(engine, job):
    jobs = [job("a", _WAIT), job("b", _WAIT), job("c", _WAIT)]

    def interrupt() -> None:
        if all(_pid(each) for each in jobs[:2]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(engine.run(jobs, interrupt))
    assert [psutil.pid_exists(_pid(each)) for each in jobs[:2]] == [False, False]
    assert not _pid(jobs[2])


def test_a_run_that_is_left_ends_its_jobs(engine, job):
    waits = job("waits", _WAIT)
    ended = engine.run([waits, job("quick")], _nothing)
    assert next(ended).name == "quick"
    while not _pid(waits):
        time.sleep(0.1)
    ended.close()
    assert not psutil.pid_exists(_pid(waits))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"code": "f00"}, "has another mbexport, 0.1.0 with code "),
        ({"data": "f00"}, "sees other data, "),
        ({"secret": "f00"}, "must have this machine's cache secret, got another one; "),
        ({"nonce": "f00"}, "must see the files of --out, got "),
        ({"user": 77777}, "expected 77777; start Ray as the same user"),
        ({"python": "3.11.0"}, "expected 3.11.0"),
    ],
)
def test_a_node_that_differs_is_refused(ray, shared, monkeypatch, changed, words):
    from dataclasses import replace

    from mbexport.sweep import ray_nodes

    monkeypatch.setattr(ray_nodes, "answer", lambda asked: replace(handshake.answer(asked), **changed))
    with pytest.raises(OptionError, match="--address: node ") as refused:
        Nodes(ray=ray, shared=shared).shake_hands(_nothing)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert list(shared.out.iterdir()) == []


def test_a_node_without_the_package_is_refused(ray, cluster, shared, tmp_path):
    elsewhere = {**os.environ, "PYTHONPATH": str(tmp_path)}
    if subprocess.run([sys.executable, "-P", "-c", _FIND], env=elsewhere, check=False).returncode == 0:
        pytest.skip("mbexport is installed in the environment that the nodes share: none can be without it")
    cluster.add("bare", PYTHONPATH=str(tmp_path))
    _wait_for(ray, len(cluster.nodes))
    try:
        with pytest.raises(
            OptionError, match="must have mbexport installed where its Ray is, got no module mbexport: pip"
        ):
            Nodes(ray=ray, shared=shared).shake_hands(_nothing)
    finally:
        cluster.kill("bare")


def test_another_secret_of_this_machine_is_refused(ray, shared, monkeypatch):
    monkeypatch.setenv("MBEXPORT_CACHE_SECRET", "a secret that no node of this cluster has")
    with pytest.raises(OptionError, match="cache secret, got another one"):
        Nodes(ray=ray, shared=shared).shake_hands(_nothing)


_SCRIPT = """
import sys
from pathlib import Path
from mbexport.errors import MbexportError
from mbexport.sweep.handshake import Shared
from mbexport.sweep.job import Job
from mbexport.sweep.ray_cluster import RayCluster
out = Path(sys.argv[2])
try:
    with RayCluster.open(sys.argv[1], Shared(out=out)) as engine:
        job = Job(name="a", arguments=("cost",), folder=out, out=out / "a", root=out, log=out / "log")
        print(len(engine.nodes), [each.code for each in engine.run([job], lambda: None)])
except MbexportError as error:
    sys.exit(f"{error.exit_code} {error}")
"""


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({}, ""),
        ({"RAY_AUTH_TOKEN": "f" * 64, "RAY_AUTH_MODE": "token"}, "refused the token; put that of the cluster into"),
        ({"HOME": "/nowhere"}, "refused the token"),
    ],
)
def test_a_driver_finds_the_token_and_prints_nothing_of_rays(nodes, cluster, tmp_path, changed, refusal):
    environment = {name: value for name, value in cluster.environment.items() if not name.startswith("RAY_")}
    command = [sys.executable, "-c", _SCRIPT, cluster.address, str(tmp_path)]
    done = subprocess.run(
        command, env={**environment, **changed}, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == bool(refusal), done.stderr
    assert done.stdout == ("" if refusal else "2 [0]\n")
    assert refusal in done.stderr
    assert done.stderr.count("\n") == bool(refusal), done.stderr


_needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")


def _has_word(process: psutil.Process, word: str) -> bool:
    """Whether a running process was started with `word`; one that has ended, awaited or not, runs no more."""
    with contextlib.suppress(psutil.Error):
        return word in process.cmdline()
    return False


@_needs_ray
def test_a_listener_that_says_nothing_is_refused_in_time(monkeypatch):
    monkeypatch.setattr(ray_connection, "_CONNECT_S", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(OptionError, match=f"^--address {address}: no connection within 3 s; it must be a Ray"):
            connection(address).__enter__()
    assert not [each for each in psutil.Process().children(recursive=True) if _has_word(each, address)]


@_needs_ray
def test_an_address_that_does_not_answer_is_refused():
    with pytest.raises(OptionError, match=r"^--address 127\.0\.0\.1:\d+ does not answer: Connection refused; "):
        connection(f"127.0.0.1:{free_port()}").__enter__()


def _wait_for(ray, nodes: int) -> None:
    """Wait until Ray knows which nodes have been added and killed."""
    end = time.monotonic() + 60
    while sum(each["Alive"] for each in ray.nodes()) != nodes and time.monotonic() < end:
        time.sleep(0.5)


def _has_ancestor(pid: int, ancestor: int) -> bool:
    return any(each.pid == ancestor for each in psutil.Process(pid).parents())


def _pid(job: Job) -> int:
    """The process of a job that waits; 0 until it does."""
    marker = Path(job.environment["MB_MARKER"])
    return int(marker.read_text() or 0) if marker.exists() else 0
