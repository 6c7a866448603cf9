"""The folder on a device: what is done there in order, and that it is removed whatever happens."""

import hashlib
import re

import pytest

from mbexport.errors import OptionError, StageError
from mbexport.latency.android.adb import Answer
from mbexport.latency.android.folder import pushed


class Phone:
    """Stands for `Adb`: it keeps what was pushed and asked, and fails where `failures` has the command's name."""

    def __init__(self, **failures):
        self.failures, self.files, self.asked = failures, {}, []

    def push(self, source, target):
        self.files[target] = source.read_bytes()

    def shell(self, words, *, within_s=60.0):
        self.asked.append(tuple(words))
        failure = self.failures.get(words[0])
        if isinstance(failure, Exception):
            raise failure
        if words[0] == "sha256sum":
            return Answer(text=f"{hashlib.sha256(self.files[words[1]]).hexdigest()}  {words[1]}", exit_code=0)
        return failure or Answer(text="", exit_code=0)


@pytest.fixture
def files(tmp_path):
    """The tool, and two networks whose names no shell should see."""
    paths = {name: tmp_path / f"{place}" for place, name in enumerate(("tool", "$(reboot).tflite", "benchmark_model"))}
    for name, path in paths.items():
        path.write_bytes(name.encode())
    return paths


def push_all(phone, files):
    names = list(files)
    return pushed(phone, files["tool"], {name: files[name] for name in names[1:]})


def test_what_is_done_in_order(files):
    phone = Phone()
    with push_all(phone, files) as folder:
        assert [*folder.paths] == ["$(reboot).tflite", "benchmark_model"]
        assert phone.files[folder.paths["$(reboot).tflite"]] == b"$(reboot).tflite"
        assert folder.hashes["benchmark_model"] == hashlib.sha256(b"benchmark_model").hexdigest()
        assert folder.tool_sha256 == hashlib.sha256(b"tool").hexdigest()
        folder.benchmark("benchmark_model", ("--num_runs=1",), within_s=1)
    place = phone.asked[0][1]
    assert re.fullmatch(r"/data/local/tmp/mbexport-[0-9a-f]{16}", place)
    assert [words[0] for words in phone.asked] == [
        *("mkdir", "sha256sum", "sha256sum", "sha256sum", "chmod"),
        *(f"{place}/benchmark_model", "pkill", "rm"),
    ]
    assert phone.asked[5][1:] == (f"--graph={place}/1.tflite", "--num_runs=1")
    assert phone.asked[-1] == ("rm", "-rf", place)
    assert not any("reboot" in word for words in phone.asked for word in words)


def test_two_runs_have_folders_of_their_own(files):
    phone = Phone()
    for _ in range(2):
        with push_all(phone, files):
            pass
    made = [words[1] for words in phone.asked if words[0] == "mkdir"]
    assert len(set(made)) == 2


@pytest.mark.parametrize("error", [StageError("gone"), OptionError("gone")])
def test_the_folder_is_removed_where_nothing_else_answers(files, error):
    phone = Phone(pkill=error)
    with push_all(phone, files):
        pass
    assert phone.asked[-1][:2] == ("rm", "-rf")


def test_an_error_in_the_block_is_what_is_raised(files):
    phone = Phone(rm=StageError("gone"))
    with pytest.raises(KeyboardInterrupt), push_all(phone, files):
        raise KeyboardInterrupt
    assert phone.asked[-1][0] == "rm"


@pytest.mark.parametrize("command", ["mkdir", "chmod"])
def test_a_device_that_refuses_a_command_says_which(files, command):
    phone = Phone(**{command: Answer(text="Permission denied", exit_code=1)})
    said = r"^on the Android device, .* cannot be made.*: Permission denied$"
    with pytest.raises(StageError, match=said), push_all(phone, files):
        pytest.fail("the block must not run")
    assert phone.asked[-1][0] == "rm"
