"""npm installs the web bundle, its own tests pass in node and in Chromium, and its page shows what Python answers."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from clients.conftest import of_clients
from clients.environments import HERE, ROOT, node_with, run
from detector_photos import DETECTOR, golden_of_photos, model
from PIL import Image

from mbexport.bundles.make import bundle_files
from mbexport.bundles.registry import Bundling
from mbexport.cli import run as mbexport
from mbexport.models.data.decode import read_image

pytestmark = pytest.mark.client

PICTURES = ROOT / "build" / "tests" / "web-demo"  # where people can look at what was seen
LEAST_CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3
SMALLEST_TEXT_PX = 12
WEB = Bundling(platforms=("web",), is_required=True, name="web-demo", version="1.0.0")


def installed(files: dict[str, bytes], folder: Path) -> Path:
    """The bundle's folder as npm leaves it: by its own lock, which is the same for all networks of that name."""
    web = folder / "web"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    modules = of_clients(node_with, web) / "node_modules"
    shutil.copytree(modules, web / "node_modules", copy_function=os.link)  # links to folders are not served
    return web


@pytest.fixture(scope="session")
def package(network, tmp_path_factory) -> Path:
    """The package of a network."""
    out = tmp_path_factory.mktemp("package")
    options = ["--platform", "web", "--bundle-name", WEB.name, "--bundle-version", WEB.version]
    assert mbexport(["bundle", str(network.folder), *options, "--out", str(out)]) == 0
    return installed({f"web/{path.relative_to(out / 'web')}": path.read_bytes() for path in files_of(out)}, out)


def files_of(out: Path) -> list[Path]:
    return [path for path in (out / "web").rglob("*") if path.is_file()]


@pytest.fixture
def detector(tmp_path) -> Path:
    """The package of the detector by hand."""
    files = {**golden_of_photos(), DETECTOR: model()}
    return installed(bundle_files(files, ("disc", "square", "cross"), WEB), tmp_path)


def npm_test(package: Path, browser: str) -> str:
    done = subprocess.run(
        ["npm", "test"],
        cwd=package,
        env={**os.environ, "CHROMIUM": browser},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return done.stdout + done.stderr


def require_passed(told: str) -> None:
    assert "# pass 2" in told, told
    assert "# fail 0" in told
    assert "# skipped 0" in told


def test_golden_vectors_in_node_and_in_chromium(package, browser):
    require_passed(npm_test(package, browser))


def test_a_detector_finds_its_golden_rows(detector, browser):
    require_passed(npm_test(detector, browser))


def test_a_changed_vector_is_noticed_in_both(detector, browser):
    resized = detector / "golden" / "case_0" / "resized.rgb"
    content = resized.read_bytes()
    resized.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    told = npm_test(detector, browser)
    assert "# fail 2" in told
    assert told.count("1 of ") >= 2
    assert "resized bytes differ" in told


def test_answers_are_those_of_python_bit_for_bit(package, network):
    """On images of any size, through crop, resize and the network."""
    script = """
import { readFile } from 'node:fs/promises';
const { Classifier } = await import(process.argv[2]);
const classifier = await Classifier.load();
const images = await readFile(process.argv[3]);
const size = Number(process.argv[4]);
const answers = [];
for (let at = 0; at < images.length; at += size) {
  answers.push(Array.from(await classifier.answer(images.subarray(at, at + size))));
}
console.log(JSON.stringify(answers));
"""
    (package / "ask.mjs").write_text(script)
    (package / "pixels").write_bytes(network.pixels.tobytes())
    size = network.pixels[0].size
    module = (package / "src" / "node.js").as_uri()
    told = run(["node", package / "ask.mjs", module, package / "pixels", size], is_ours=False)
    wanted = network.answers("int8.tflite")
    np.testing.assert_array_equal(np.array(json.loads(told), wanted.dtype), wanted)


@contextmanager
def served(folder: Path):
    """The address of the page that `mbexport demo` serves."""
    command = [sys.executable, "-m", "mbexport", "demo", str(folder), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def look(page: Path, photo: Path, *, browser, node_packages):
    """What is seen of the demo page by layout; pictures of it lie in PICTURES."""
    folder = PICTURES / photo.stem
    folder.mkdir(parents=True, exist_ok=True)
    with served(page) as url:
        command = ["node", HERE / "node" / "demo.mjs", url, browser, photo, folder]
        return json.loads(run(command, is_ours=False, cwd=node_packages))


def require_legible(seen) -> None:
    assert list(seen) == ["desktop-light", "desktop-dark", "phone-light", "phone-dark"]
    for found in seen.values():
        assert (found["errors"], found["elsewhere"]) == ([], [])
        assert found["scrollWidth"] <= found["innerWidth"]
        assert found["leastContrast"] >= LEAST_CONTRAST
        assert found["smallestText"] >= SMALLEST_TEXT_PX
        assert len(found["times"]) == 2
        assert (found["title"], found["status"], found["camera"]) == ("web-demo", "", "Camera")


def photo_for(network) -> Image.Image:
    """A photo of another size than the network's, lossless, so that decoders cannot differ."""
    image = Image.fromarray(network.pixels[0].reshape(network.preprocess.shape))
    return image.resize((image.width * 3, image.height * 2), Image.Resampling.BICUBIC)


def test_the_page_shows_what_python_answers(package, network, browser, node_packages, tmp_path):
    photo = tmp_path / "classified.png"
    photo_for(network).save(photo)
    seen = look(package, photo, browser=browser, node_packages=node_packages)

    require_legible(seen)
    crop = ["--crop-fraction", network.preprocess.crop_fraction]
    asked = ["predict", network.file("int8.tflite"), photo, "--json", *crop]
    (image,) = json.loads(run([sys.executable, "-m", "mbexport", *asked]))["images"]
    wanted = [(each["label"], f"{100 * each['score']:.1f} %") for each in image["top"]]
    for found in seen.values():
        assert list(zip(found["scores"], found["shares"], strict=True)) == wanted
        assert found["boxes"] == []


def test_labels_of_a_detector_are_text_on_its_page(browser, node_packages, tmp_path):
    labels = ("<img src=x onerror=alert(1)>", "</script>", "${x}`")
    files = {**golden_of_photos(labels), DETECTOR: model()}
    package = installed(bundle_files(files, labels, WEB), tmp_path)
    case = json.loads(files["golden/golden.json"])["cases"][1]
    photo = tmp_path / "detected.png"
    Image.frombytes("RGB", (case["width"], case["height"]), files[f"golden/{case['raw']}"]).save(photo)
    seen = look(package, photo, browser=browser, node_packages=node_packages)

    require_legible(seen)
    rows = [row for row in case["expected"][DETECTOR]["rows"] if row["score"] >= 0.4]
    assert rows
    for found in seen.values():
        assert found["scores"] == found["boxes"] == [labels[row["class"]] for row in rows]


def test_exif_alpha_grey_and_palette_are_read_as_python_reads_them(detector, browser, node_packages, tmp_path):
    """Through the browser's own decoders: lossless files to the byte, what is partly transparent within two steps."""
    rng = np.random.default_rng(5)
    noise = Image.fromarray(rng.integers(0, 256, (19, 31, 4), np.uint8))
    kinds = {"grey": "L", "palette": "P", "colours": "RGB", "transparent": "RGBA"}
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, mode in kinds.items():
        image = noise if mode == "RGBA" else noise.convert("RGB").convert(mode)
        image.save(detector / f"{name}.png")
        image.save(detector / f"{name}-turned.png", exif=exif)
    with served(detector) as url:
        command = ["node", HERE / "node" / "pixels.mjs", url, browser]
        names = sorted(path.name for path in detector.glob("*.png"))
        seen = json.loads(run([*command, *names], is_ours=False, cwd=node_packages))
    assert len(names) == 2 * len(kinds)
    for name in names:
        wanted = np.asarray(read_image(detector / name).convert("RGBA")).astype(int)
        for way in ("file", "img"):
            found = np.array(seen[name][way]["data"]).reshape(seen[name][way]["height"], seen[name][way]["width"], 4)
            assert found.shape == wanted.shape, (name, way)
            white = [(each[..., :3] * each[..., 3:] + 255 * (255 - each[..., 3:])) / 255 for each in (found, wanted)]
            assert np.abs(white[0] - white[1]).max() <= (2 if name.startswith("transparent") else 0), (name, way)
