"""Chromium shows sweep.html: on a desktop and a phone, by day and by night, all of it and nothing from elsewhere."""

import pytest
from example_sweeps import KINDS, example

from mbexport.report.sweep_page.render import sweep_page

pytestmark = pytest.mark.client

LEAST_CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3
SMALLEST_TEXT_PX = 11


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_legible_wherever_it_is_opened(show, kind):
    seen, _ = show(sweep_page(KINDS[kind]()), f"sweep-{kind.replace(' ', '-')}")

    for layout, found in seen.items():
        assert (found["errors"], found["requests"]) == ([], []), layout
        assert found["scrollWidth"] <= found["innerWidth"], layout
        assert found["leastContrast"] >= LEAST_CONTRAST, layout
        assert found["smallestText"] >= SMALLEST_TEXT_PX, layout


def test_what_names_hold_is_neither_run_nor_fetched(show):
    sweep = example()
    attack = "</title></style></svg><script>throw 1</script><img src='http://192.0.2.1/x' onerror='throw 2'>"
    for point in sweep["points"][:2]:
        point |= {"name": attack, "folder": f"points/{attack}", "reason": attack, "command": [attack]}
        point["artifacts"][0]["file"] = attack
    seen, _ = show(sweep_page(sweep), "sweep-attack")

    assert all((found["errors"], found["requests"]) == ([], []) for found in seen.values())
    assert all(found["scrollWidth"] <= found["innerWidth"] for found in seen.values())
    assert all(found["headings"][-1] == "Commands" for found in seen.values())
