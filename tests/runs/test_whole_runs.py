"""Whole runs of `verify`, `bench` and `inspect` on the artifacts of a real small build."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ai_edge_litert.interpreter import Interpreter
from report_schema import objections

pytestmark = pytest.mark.run
STEM = "mobilenet_v1_0.25_32"
KINDS = ("fp32.tflite", "int8.tflite", "fp32.onnx", "int8.onnx")
NOISE = re.compile("INFO|WARNING(?!: these latencies)|I0000|W0000|oneDNN|XNNPACK|cuda")
# Two limits that do not suit the smallest networks: a graph of 0.1 MB weighs, and times of 0.1 ms say little.
LENIENT = ("--gate", "size_ratio=0.45", "--gate", "int8_speedup=0")
QUICK = ("--data", "digits", "--no-latency")


@pytest.fixture(scope="module")
def files(small_build) -> list[Path]:
    return [small_build / f"{STEM}_{kind}" for kind in KINDS]


@pytest.fixture(scope="module")
def verified(cli_process, files, tmp_path_factory):
    """One verification of all four files, times and all: as it was printed, and what it wrote.

    In a process of its own, where libraries that load have something to say.
    """
    out, job = (tmp_path_factory.mktemp("verified") / name for name in ("out", "job.md"))
    job.write_text("an earlier step\n")
    summary = ("--summary", out.parent / "summary.md")
    done = cli_process(
        *("verify", *files, "--data", "digits", *LENIENT, "--out", out, *summary),
        env={"GITHUB_STEP_SUMMARY": str(job)},
    )
    return done, out, job


def test_verify_passes_and_prints_a_table(verified):
    done, *_ = verified
    assert done.returncode == 0, done.stdout
    assert all(f"{STEM}_{kind}" in done.stdout for kind in KINDS)
    assert "28 of 28" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("PASSED")


def test_verify_writes_its_report_in_three_forms_and_nothing_else(verified):
    _, out, _ = verified
    report = json.loads((out / "report.json").read_bytes())
    assert report["passed"] is True
    assert [entry["file"] for entry in report["artifacts"]] == [f"{STEM}_{kind}" for kind in KINDS]
    written = {path.name for path in out.iterdir() if path.name != ".mbexport"}
    assert written == {"report.json", "report.html", "junit.xml"}


@pytest.mark.parametrize("run", ["verify", "build"])
def test_a_report_is_what_its_schema_says(verified, small_build, run):
    folder = verified[1] if run == "verify" else small_build
    assert objections(json.loads((folder / "report.json").read_bytes())) == []


def test_every_speed_is_measured(verified):
    report = json.loads((verified[1] / "report.json").read_bytes())
    for entry in report["artifacts"]:
        assert entry["threads"][0]["threads"] == 1
        assert entry["cold_start_ms"]["total"] > 0
        assert entry["peak_memory_bytes"] > 0
        assert entry["throughput"][0]["images_per_s"] > 0
    paths = {told["file"]: told["paths"] for told in report["paths"]}
    assert paths == {
        f"{STEM}_int8.tflite": ["xnnpack", "builtin", "reference"],
        f"{STEM}_int8.onnx": ["optimized", "unoptimized"],
    }


def test_pages_and_tests_say_the_same(verified):
    _, out, job = verified
    report = json.loads((out / "report.json").read_bytes())
    cases = ElementTree.parse(out / "junit.xml").getroot().findall(".//testcase")
    assert [case.get("name") for case in cases] == [gate["name"] for gate in report["gates"]]
    page = (out / "report.html").read_text("utf-8").replace("<wbr>", "")  # where long names may break
    assert all(f"{STEM}_{kind}" in page for kind in KINDS)
    told = (out.parent / "summary.md").read_text("utf-8")
    assert job.read_text("utf-8") == f"an earlier step\n{told}"


def test_a_summary_that_cannot_be_written_is_found_before_the_work(cli, files, tmp_path):
    done = cli("verify", *files, *QUICK, "--summary", tmp_path / "nowhere" / "summary.md")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: the summary must be a file in a folder that exists, got ")


def test_verify_measures_what_the_build_measured(verified, small_build):
    # The same bytes on the same images; only the reference was Keras then and is the fp32 file now.
    ours, theirs = (json.loads((folder / "report.json").read_bytes()) for folder in (verified[1], small_build))
    measured = [{entry["file"]: entry for entry in report["artifacts"]} for report in (ours, theirs)]
    for field in ("sha256", "size_bytes", "samples", "top1", "top1_ci95", "top5", "distinct_outputs", "kernels"):
        assert {name: entry[field] for name, entry in measured[0].items()} == {
            name: entry[field] for name, entry in measured[1].items()
        }
    assert ours["artifacts"][0]["max_abs_error"] == 0.0
    assert ours["data"]["fingerprint"] == theirs["data"]["fingerprint"]


def test_build_and_verify_have_one_verdict(cli, files):
    done = cli("verify", *files, *QUICK)
    assert done.returncode == 0, done.stdout


def test_verify_says_nothing_of_its_libraries(verified):
    done, *_ = verified
    assert not NOISE.search(done.stderr), done.stderr
    assert not NOISE.search(done.stdout)


def test_impossible_gate_fails_with_exit_code_1(cli, files):
    done = cli("verify", *files[:2], *QUICK, *LENIENT, "--gate", "agreement=1.01")
    assert done.returncode == 1
    last = done.stdout.rstrip().splitlines()[-1]
    assert last.startswith("FAILED: agreement (")


def test_gate_on_what_is_not_there_fails(cli, files):
    done = cli("verify", files[0], *QUICK, "--gate", "twin_agreement=0")
    assert done.returncode == 1
    assert "not measured" in done.stdout


def test_json_is_all_there_is_on_stdout(cli, files):
    done = cli("verify", files[3], "--reference", files[0], *QUICK, "--json")
    report = json.loads(done.stdout)
    assert report["schema"] == 1
    assert report["model"]["reference"] == f"{STEM}_fp32.tflite"
    assert [entry["file"] for entry in report["artifacts"]] == [f"{STEM}_int8.onnx"]
    assert done.returncode == (0 if report["passed"] else 1)
    assert not NOISE.search(done.stderr), done.stderr


def without_largest_weights(path: Path) -> bytes:
    """The .tflite with every bit of its largest weights cleared."""
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    weights = [
        interpreter.get_tensor(tensor["index"]).tobytes()
        for tensor in interpreter.get_tensor_details()
        if len(tensor["shape"]) == 4 and tensor["shape"][0] > 1
    ]
    largest, content = max(weights, key=len), path.read_bytes()
    assert content.count(largest) == 1
    return content.replace(largest, bytes(len(largest)))


@pytest.mark.parametrize("kind", ["fp32.tflite", "int8.tflite"])
def test_artifact_whose_accuracy_is_gone_fails_its_gates(cli, files, tmp_path, kind):
    broken = tmp_path / f"broken_{kind}"
    broken.write_bytes(without_largest_weights(files[KINDS.index(kind)]))
    done = cli("verify", broken, "--reference", files[0], *QUICK, *LENIENT, "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["artifacts"][0]["top1"] < 0.2
    failed = {gate["name"] for gate in report["gates"] if not gate["passed"]}
    assert failed >= ({"agreement", "top1_drop"} if "int8" in kind else {"fp32_error"})


def test_network_that_answers_nan_fails_and_is_reported_as_null(cli, colour_network, tmp_path):
    network = colour_network(tmp_path / "nan.onnx", top=float("nan"))
    done = cli("verify", network, "--reference", network, *QUICK, "--preprocess", "unit", "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout, parse_constant=pytest.fail)
    gates = {gate["name"]: gate for gate in report["gates"]}
    assert (gates["fp32_error"]["value"], gates["fp32_error"]["passed"]) == (None, False)
    assert gates["distinct_outputs"]["passed"] is False


def test_files_of_one_name_are_told_apart_and_a_file_given_twice_is_refused(cli, files, tmp_path):
    twin = tmp_path / files[0].name
    twin.write_bytes(files[0].read_bytes())
    done = cli("verify", files[0], twin, *QUICK, "--json")
    names = [entry["file"] for entry in json.loads(done.stdout)["artifacts"]]
    assert (done.returncode, names) == (0, [f"{path.parent.name}/{path.name}" for path in (files[0], twin)])
    for command in (["verify", *QUICK], ["bench"]):
        done = cli(*command, files[0], files[0])
        assert (done.returncode, done.stdout) == (2, "")
        assert f"each artifact must be given once, got {files[0]} twice" in done.stderr


def test_bench_gives_every_file_a_latency_and_a_ratio_to_the_first(cli, files):
    done = cli("bench", *files, "--json", "--runs", 5, "--warmup", 1)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [entry["file"] for entry in result["artifacts"]] == [path.name for path in files]
    assert [entry["precision"] for entry in result["artifacts"]] == ["fp32", "int8", "fp32", "int8"]
    for entry in result["artifacts"]:
        latency = entry["latency_ms"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"]
        assert latency["runs"] == 5
    assert [(ratio["a"], ratio["b"]) for ratio in result["ratios"] if ratio["threads"] == 1] == [
        (path.name, files[0].name) for path in files[1:]
    ]
    assert all(low <= high for low, high in (ratio["latency_ratio_ci95"] for ratio in result["ratios"]))
    noise = result["machine"]["noise"]
    assert done.stderr == (f"WARNING: {noise}\n" if noise else "")


def test_bench_prints_a_table(cli, files):
    done = cli("bench", *files[:2], "--runs", 3, "--no-probe")
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("WARNING: ") for line in done.stderr.splitlines())
    assert all(path.name in done.stdout for path in files[:2])
    assert "1 thread(s), 3 runs, interleaved" in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_inspect_tells_precision_tensors_and_kernels(cli, files, kind):
    path = files[KINDS.index(kind)]
    done = cli("inspect", path, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    precision, file_format = kind.split(".")
    assert (facts["precision"], facts["format"], facts["size_bytes"]) == (precision, file_format, path.stat().st_size)
    (source,), (target,) = facts["inputs"], facts["outputs"]
    assert (source["shape"], target["shape"]) == ([1, 32, 32, 3], [1, 10])
    if precision == "int8":
        assert (facts["kernels"]["int8_convs"], facts["kernels"]["float_convs"]) == (28, 0)
        assert (source["dtype"], target["dtype"]) == ("uint8", "uint8")
        assert source["quantization"] == {"scale": pytest.approx(1 / 127.5), "zero_point": 128}
    else:
        assert (facts["kernels"]["int8_convs"], facts["kernels"]["float_convs"]) == (0, 28)
        assert (source["dtype"], target["dtype"], source["quantization"]) == ("float32", "float32", None)
    if file_format == "onnx":
        assert source["name"] == "image"


def test_inspect_prints_lines(cli, files):
    done = cli("inspect", files[3])
    assert (done.returncode, done.stderr) == (0, "")
    assert "kernels  28 of 28 convolutions in integers (onnxruntime)" in done.stdout


def test_tflite_signature_names_its_input_image(cli, files):
    metadata = json.loads(cli("inspect", files[1], "--json").stdout)["metadata"]
    assert any("image ->" in words for words in metadata.values())


@pytest.mark.parametrize(
    "words",
    ["verify --data digits", "verify --data digits --json", "bench --runs 3", "inspect --json"],
)
def test_reader_that_has_gone_is_no_failure(without_reader, files, words):
    done = without_reader("-m", "mbexport", *words.split(), files[0])
    assert done.returncode == 0  # 1 would say that a gate failed
    assert "Error" not in done.stderr
    assert not NOISE.search(done.stderr)
