"""Stands for `benchmark_model` on the fake device: `phone.json` beside the device's files says how it behaves."""

import json
import os
import sys
import time
from pathlib import Path

from tool_output import WHOLE_GPU, litert_output, tflite_output

PARTLY = "Explicitly applied GPU delegate, and the model graph will be partially executed by the delegate w/ 2 kernels."
_FULL_US = 10_000  # on one thread


def main(program: str, *arguments: str) -> int:
    """Print what the tool would, and give its exit code."""
    phone = Path(os.environ["FAKE_PHONE"])
    state = json.loads(phone.read_bytes())
    with (phone.parent / "runs.txt").open("a") as log:
        log.write(" ".join((Path(program).name, *arguments)) + "\n")
    if not os.access(program, os.X_OK) or state.get("exec_format"):
        print(f"/system/bin/sh: {program}: not executable: 64-bit ELF file")
        return 126
    flags = dict(argument.removeprefix("--").split("=", 1) for argument in arguments)
    if flags["warmup_min_secs"] != "0":
        time.sleep(state.get("sleep_s", 0))
    if Path(flags["graph"]).read_bytes()[4:8] != b"TFL3":
        print(f"ERROR: Failed to load model {flags['graph']}\nERROR: Benchmarking failed.", file=sys.stderr)
        return 1
    return run(flags, state)


def run(flags: dict[str, str], state: dict[str, str]) -> int:
    """Run the network on what the flags name."""
    is_gpu, gpu = flags.get("use_gpu") == "true", state.get("gpu", "whole")
    if is_gpu and gpu == "missing":
        print("ERROR: Disallowed CPU fallback detected.\nERROR: Benchmarking failed.", file=sys.stderr)
        return 1
    full_us = _FULL_US // 4 if is_gpu else _FULL_US // int(flags["num_threads"])
    times = [full_us + 10 * (place % 3) for place in range(int(flags["num_runs"]))]
    warmup = [3 * full_us, *times[: int(flags["warmup_runs"]) - 1]]
    if state.get("tool") == "litert":
        print(litert_output(warmup, times, init_us=1500), end="")
    else:
        delegate = {"whole": WHOLE_GPU, "partly": PARTLY}[gpu] if is_gpu else ""
        print(tflite_output(warmup, times, init_us=1500, delegate=delegate), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
