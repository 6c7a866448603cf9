"""Jobs as processes of this machine: which are run again, and that none outlives whoever started it."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mbexport.errors import OutputError
from mbexport.sweep.job import MAX_ATTEMPTS, Ended, Job, is_lost, last_line
from mbexport.sweep.local import Processes
from mbexport.sweep.process import run_once, wait_until_free

# Python runs it before anything else: what a job does is written in a file called as its first argument.
_SITE = """
import os, sys
if sys.orig_argv[-2:-1] == ["mbexport"]:
    exec(open(os.path.join(os.environ["JOBS"], sys.orig_argv[-1])).read())
"""


@pytest.fixture
def make_job(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_SITE)
    python_path = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))

    def make(name: str, program: str) -> Job:
        (tmp_path / name).write_text(program)
        return Job(
            name=name,
            arguments=(name,),
            folder=tmp_path,
            out=tmp_path / "out" / name,
            root=tmp_path,
            log=tmp_path / "logs" / f"{name}.log",
            environment={"JOBS": str(tmp_path), "PYTHONPATH": python_path},
        )

    return make


def ends(jobs: list[Job], *, at_once: int = 2) -> dict[str, Ended]:
    return {each.name: each for each in Processes(at_once).run(jobs, lambda: None)}


def children() -> list[psutil.Process]:
    """The jobs that run; another test of this process may have left a helper of its own."""
    return [each for each in psutil.Process().children(recursive=True) if _is_job(each)]


def _is_job(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE and process.cmdline()[-1].startswith("job")
    return False


def gone(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_an_answer_of_its_own_is_not_asked_for_again(make_job, tmp_path, code):
    job = make_job("job", f"open('count', 'a').write('x'); print('said', flush=True); os._exit({code})")
    found = ends([job])["job"]
    assert (found.code, found.exit_code, found.attempts) == (code, code, 1)
    assert (tmp_path / "count").read_text() == "x"
    assert last_line(job.log) == "said"


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(143)", "os._exit(130)", "os.abort()"])
def test_a_run_that_was_stopped_goes_on(make_job, end):
    job = make_job("job", f"first = not os.path.exists('seen'); open('seen', 'w'); {end} if first else os._exit(0)")
    found = ends([job])["job"]
    assert (found.code, found.attempts) == (0, 2)


def test_a_run_that_is_always_lost_is_given_up(make_job, tmp_path):
    found = ends([make_job("job", "open('count', 'a').write('x'); os.kill(os.getpid(), 9)")])["job"]
    assert (found.code, found.exit_code, found.attempts) == (-signal.SIGKILL, 3, MAX_ATTEMPTS)
    assert (tmp_path / "count").read_text() == "x" * MAX_ATTEMPTS


def test_one_that_fails_does_not_stop_the_others(make_job):
    jobs = [make_job(f"job-{number}", f"os._exit({number % 4})") for number in range(8)]
    assert {name: each.code for name, each in ends(jobs).items()} == {f"job-{n}": n % 4 for n in range(8)}


@pytest.mark.parametrize("places", [1, 2, 3])
def test_so_many_run_at_once_and_no_more(make_job, tmp_path, places):
    (tmp_path / "busy").mkdir()
    program = (
        "import time; name = sys.orig_argv[-1]; open('busy/' + name, 'w')\n"
        "open('most', 'a').write(str(len(os.listdir('busy'))) + ' ')\n"
        "time.sleep(0.5); os.remove('busy/' + name); os._exit(0)"
    )
    ends([make_job(f"job-{number}", program) for number in range(5)], at_once=places)
    assert max(map(int, (tmp_path / "most").read_text().split())) == places


def test_a_build_takes_no_options_from_the_environment(make_job, monkeypatch, tmp_path):
    monkeypatch.setenv("MBEXPORT_BUILD_ALPHA", "0.5")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("MBEXPORT_CACHE_SECRET", "what all of them have to know, too")
    job = make_job("job", "open('seen', 'w').write(' '.join(sorted(os.environ))); os._exit(0)")
    ends([job])
    seen = (tmp_path / "seen").read_text().split()
    assert "MBEXPORT_CACHE_SECRET" in seen
    assert not {"MBEXPORT_BUILD_ALPHA", "GITHUB_STEP_SUMMARY"} & set(seen)


class Stop(Exception):  # noqa: N818  # it stands for an interrupt
    """The end of the wait for jobs."""


def test_whoever_stops_waiting_leaves_no_process(make_job):
    def tick() -> None:
        if len(children()) >= 2:
            raise Stop

    jobs = [make_job(f"job-{number}", "import time; time.sleep(600)") for number in range(3)]
    with pytest.raises(Stop):
        list(Processes(2).run(jobs, tick))
    assert children() == []


def test_one_that_ignores_a_termination_is_killed(make_job, monkeypatch):
    monkeypatch.setattr("mbexport.sweep.process._GRACE_S", 0.5)
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); open('up', 'w'); time.sleep(600)"
    job = make_job("job", program)

    def tick() -> None:
        if (job.folder / "up").exists():
            raise Stop

    with pytest.raises(Stop):
        list(Processes(1).run([job], tick))
    assert children() == []


def test_a_run_in_a_worker_is_ended_when_it_is_cancelled(make_job):
    started = time.monotonic()
    code = run_once(
        make_job("job", "import time; time.sleep(600)"), is_cancelled=lambda: time.monotonic() - started > 1
    )
    assert is_lost(code)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")
def test_no_run_outlives_the_process_that_started_it(make_job, tmp_path):
    job = make_job("job", "import time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)")
    program = (
        "from pathlib import Path; from mbexport.sweep.job import Job; from mbexport.sweep.local import Processes\n"
        f"job = Job(name='job', arguments=('job',), folder=Path({str(tmp_path)!r}), out=Path('out'),"
        f" root=Path({str(job.root)!r}), log=Path({str(job.log)!r}), environment={dict(job.environment)!r})\n"
        "list(Processes(1).run([job], lambda: None))"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    pid = _eventually(lambda: int((tmp_path / "pid").read_text()))
    parent.kill()
    parent.wait()
    assert _eventually(lambda: gone(pid) or None)


def _eventually(look):
    """What `look` gives once it gives something."""
    for _ in range(600):
        with contextlib.suppress(OSError, ValueError):
            if (found := look()) is not None:
                return found
        time.sleep(0.05)
    pytest.fail("it did not happen within 30 s")


def test_an_output_folder_that_an_earlier_attempt_still_holds_is_waited_for(make_job):
    job = make_job("job", "")
    lock = job.out / ".mbexport" / "lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    program = "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, 2); print(flush=True); time.sleep(1)"
    holder = subprocess.Popen([sys.executable, "-c", program, str(lock)], stdout=subprocess.PIPE)
    holder.stdout.readline()
    wait_until_free(job)
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises while the other one holds it
    holder.wait()


def test_the_last_line_of_a_log_that_is_not_there():
    assert last_line(Path("/nonexistent/log")) == ""


@pytest.mark.timeout(60)
def test_a_lock_that_is_no_file_is_left_to_the_run_itself(make_job):
    job = make_job("job", "os._exit(2)")
    (job.out / ".mbexport").mkdir(parents=True)
    os.mkfifo(job.out / ".mbexport" / "lock")
    wait_until_free(job)


@pytest.mark.parametrize("link", ["logs", "logs/job.log"])
def test_no_log_is_written_through_a_link(make_job, tmp_path, link):
    job = make_job("job", "print('said', flush=True); os._exit(0)")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "job.log").write_text("precious")
    place = tmp_path / link
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(tmp_path / "home" / "job.log" if "." in link else tmp_path / "home")
    with pytest.raises(OutputError, match=r"logs/job.log cannot be written: a link"):
        ends([job])
    assert (tmp_path / "home" / "job.log").read_text() == "precious"


@pytest.mark.timeout(60)
def test_the_last_line_of_a_pipe_is_none(tmp_path):
    os.mkfifo(tmp_path / "log")
    assert last_line(tmp_path / "log") == ""
