"""Chromium shows report.html: on a desktop and a phone, by day and by night, all of it and nothing from elsewhere."""

import io

import pytest
from example_detectors import DETECTORS
from example_reports import KINDS, of_build
from PIL import Image

from mbexport.report.page.render import page

pytestmark = pytest.mark.client

LEAST_CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3
SMALLEST_TEXT_PX = 11
LAYOUTS = ["desktop-light", "desktop-dark", "phone-light", "phone-dark"]
SIDE_PX = 96


def photo(shade: int) -> bytes:
    """A JPEG picture."""
    stream = io.BytesIO()
    Image.new("RGB", (SIDE_PX, SIDE_PX), (shade, 120, 200 - shade)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_legible_wherever_it_is_opened(show, kind):
    report = KINDS[kind]()
    cases = report["artifacts"][-1]["disagreements"]["worst"]
    pictures = {case["image"]: photo(20 * at) for at, case in enumerate(cases[:3])}
    seen, folder = show(page(report, pictures), kind.replace(" ", "-"))
    require_legible(seen, folder, pictures=len(pictures))


@pytest.mark.parametrize("kind", DETECTORS)
def test_the_page_of_a_detector_is_legible_too(show, kind):
    report = DETECTORS[kind]()
    cases = report["artifacts"][-1]["worst_images"]
    pictures = {case["image"]: photo(20 * at) for at, case in enumerate(cases[:3])}
    seen, folder = show(page(report, pictures), kind.replace(" ", "-"))
    require_legible(seen, folder, pictures=len(pictures))


def require_legible(seen, folder, *, pictures):
    """Nothing is fetched, cut off, too small or too faint, in any layout, and so many pictures are there."""
    assert list(seen) == LAYOUTS
    for layout, found in seen.items():
        assert (found["errors"], found["requests"]) == ([], [])
        assert found["scrollWidth"] <= found["innerWidth"]
        assert found["leastContrast"] >= LEAST_CONTRAST
        assert found["smallestText"] >= SMALLEST_TEXT_PX
        assert found["pictures"] == [SIDE_PX] * pictures
        with Image.open(folder / f"{layout}.png") as picture:
            assert picture.width == found["innerWidth"]
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 50
            corner = picture.convert("L").getpixel((1, 1))
            assert corner < 60 if layout.endswith("dark") else corner > 200


def test_what_names_hold_is_neither_run_nor_fetched(show):
    report = of_build()
    attack = "</title></style></svg><script>throw 1</script><img src='http://192.0.2.1/x' onerror='throw 2'>"
    report["model"]["name"] = report["sensitivity"]["layers"][0]["layer"] = attack
    report["artifacts"][2]["file"] = report["artifacts"][2]["disagreements"]["worst"][0]["artifact"] = attack
    seen, _ = show(page(report, {}), "attack")

    assert all((found["errors"], found["requests"]) == ([], []) for found in seen.values())
    assert all(found["scrollWidth"] <= found["innerWidth"] for found in seen.values())
    assert all(found["headings"][-1] == "Provenance" for found in seen.values())
