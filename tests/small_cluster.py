"""A Ray cluster whose nodes all live on this machine, each in a process group of its own; one of them can be killed."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

_START_S = 150.0
_TRIES = 3
_STORE = "--object-store-memory=100000000"
_OURS = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")  # what Ray sets in tasks must not be there for another reason
_RAY = (sys.executable, "-c", "import sys; from ray.scripts.scripts import main; sys.exit(main())")


class CannotStartError(Exception):
    """Ray does not run on this machine, or not now."""


class SmallCluster:
    """A head and as many further nodes as are added, of one core each, with a token and a home of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        kept = {name: value for name, value in os.environ.items() if name not in _OURS and not name.startswith("RAY_")}
        self.environment = {**kept, "HOME": str(self.home), "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
        self._ray("get-auth-token", "--generate")
        self.port = free_port()
        # Ray refuses temporary folders of long names: its sockets lie in them.
        self.temporary = Path(f"/tmp/small-cluster-{os.getpid()}")
        options = (
            f"--port={self.port}",
            f"--ray-client-server-port={free_port()}",
            "--include-dashboard=false",
            "--no-monitor",
        )
        output = self._start("head", "--head", f"--temp-dir={self.temporary}", *options)
        found = re.search(r"Local node IP: (\S+)", output)
        assert found, output
        self.address = f"{found[1]}:{self.port}"

    def add(self, name: str, **environment: str) -> None:
        """Start one more node."""
        self._start(name, f"--address={self.address}", **environment)

    def kill(self, name: str) -> None:
        """Kill a node as a power cut does: all of its own processes at once. Ray's workers notice that themselves."""
        os.killpg(self.nodes.pop(name).pid, signal.SIGKILL)

    def stop(self) -> None:
        """Kill everything, workers and what they have started too."""
        left = [each for node in self.nodes.values() for each in _tree(node.pid)]
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=10)
        self.nodes.clear()
        subprocess.run(["rm", "-rf", self.temporary], check=False)

    def _start(self, name: str, *options: str, **environment: str) -> str:
        said = ""
        for _ in range(_TRIES):
            log = self.folder / f"{name}.log"
            with log.open("wb") as output:
                node = subprocess.Popen(
                    [*_RAY, "start", "--block", "--num-cpus=1", "--disable-usage-stats", _STORE, *_ports(), *options],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**self.environment, **environment},
                    start_new_session=True,
                )
            self.nodes[name] = node
            end = time.monotonic() + _START_S
            while time.monotonic() < end and node.poll() is None:
                _answer_for_agent(node.pid)
                said = log.read_text(errors="replace")
                if "Ray runtime started" in said:
                    return said
                time.sleep(0.2)
            with suppress(ProcessLookupError):
                self.kill(name)
        raise CannotStartError((said.strip().splitlines() or ["Ray said nothing"])[-1])

    def _ray(self, *arguments: str) -> None:
        done = subprocess.run([*_RAY, *arguments], env=self.environment, capture_output=True, check=False, timeout=120)
        if done.returncode:
            raise CannotStartError(done.stderr.decode(errors="replace").strip()[-200:])


def _ports() -> list[str]:
    """Options for any free ports."""
    agents = ("metrics-export", "dashboard-agent-grpc", "dashboard-agent-listen", "runtime-env-agent")
    return ["--min-worker-port=0", "--max-worker-port=0", *(f"--{agent}-port={free_port()}" for agent in agents)]


def _answer_for_agent(pid: int) -> None:
    """Say that a node's agent serves no page, before it says so itself.

    Ray's node ends itself if its agent has not written this file within 15 s, the time that `import ray` takes in six
    processes at once on two busy cores.
    """
    with suppress(psutil.Error):
        for child in psutil.Process(pid).children():
            options = dict(each[2:].split("=", 1) for each in child.cmdline()[1:] if each[:2] == "--" and "=" in each)
            if "node_id" in options and "session_dir" in options:
                file = Path(options["session_dir"]) / f"dashboard_agent_listen_port_{options['node_id']}"
                if not file.exists():
                    new = file.with_suffix(".new")
                    new.write_text("-1")
                    new.rename(file)


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        return int(listener.getsockname()[1])


def _tree(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []
