"""Any text becomes a legal name, and a literal that its language reads back as the same text."""

import re
import shutil
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.bundles.ios.names import code, double, module_name, ruby, swift

HOSTILE = (
    "plain",
    'say "hi"',
    "back\\slash",
    "\\(Settings.model)",
    "#{exit 3}",
    "#$0 #@x",
    "it's `ls` \n and\ttab\r\n",
    "\x00\x07\x1b\u2028\u200b",
    "Straße ☃ \U0001d518 e\u0301",
    "%s %d {0} {{ name }} {% raw %}",
)


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("mobilenet_v1_0.75_224", "MobilenetV1_0_75_224"),
        ("mobilenet_v1_1.0_96", "MobilenetV1_1_0_96"),
        ("my cat-model", "MyCatModel"),
        ("3 cats", "Model3Cats"),
        ("Straße é", "StraeE"),
        ("猫", "Model"),
        ("", "Model"),
        ("self", "SelfModel"),
        ("classifier", "ClassifierModel"),
        ("LiteRT", "LiteRTModel"),
        ('x"; system("ls")', "XSystemLs"),
    ],
)
def test_names_by_hand(stem, name):
    assert module_name(stem) == name


@given(st.text())
def test_every_stem_gives_a_name_that_swift_and_ruby_take(stem):
    assert re.fullmatch("[A-Za-z][A-Za-z0-9_]*", module_name(stem))


def test_numbers_do_not_run_together():
    assert module_name("net_1_12") != module_name("net_11_2")


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e-7)
@example(0.1)
def test_numbers_survive_to_the_last_bit(number):
    literal = double(number)
    assert float(literal) == number
    assert re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?", literal)


@pytest.mark.parametrize(("text", "shown"), [("a b", "`a b`"), ("a\n`b`", "`` a `b` ``"), ("``", "``` `` ```")])
def test_names_in_markdown(text, shown):
    assert code(text) == shown


@given(st.text())
@example('"\\(x)"')
def test_nothing_ends_a_literal_of_swift_or_runs_inside(text):
    inside = swift(text)[1:-1]
    assert re.fullmatch(r'([^"\\\n\r]|\\["\\]|\\u\{[0-9a-f]{1,6}\})*', inside)


@pytest.mark.skipif(not shutil.which("ruby"), reason="ruby is not installed")
def test_ruby_reads_hostile_texts_back():
    script = f"STDOUT.binmode; print [{', '.join(map(ruby, HOSTILE))}].map {{ |each| each.unpack('H*')[0] }}.join(' ')"
    done = subprocess.run(["ruby"], input=script.encode(), capture_output=True, check=True, timeout=60)
    assert [bytes.fromhex(each).decode() for each in done.stdout.decode().split()] == list(HOSTILE)
