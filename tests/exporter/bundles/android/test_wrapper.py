"""Relocated classes equal those that a compiler makes of the relocated sources."""

import struct
import subprocess

import pytest
import wrapper_classes
from hypothesis import example, given, settings
from hypothesis import strategies as st
from java_programs import needs_java, written

from mbexport.bundles.android import wrapper
from mbexport.bundles.android.runtimes import LITERT_1, LITERT_2, RUNTIMES
from mbexport.bundles.android.wrapper import relocate_class, relocate_source
from mbexport.errors import StageError
from mbexport.models.task import Task

PACKAGES = st.from_regex(r"[a-z][a-z0-9_]{0,20}(\.[a-z][a-z0-9_]{0,20}){1,3}", fullmatch=True)
needs_javac_17 = pytest.mark.skipif(
    not wrapper_classes.is_javac_17(), reason="the committed classes are those of javac 17, which is not installed"
)


def class_file(*constants, tail=b"\0\x21\0\x01"):
    """A class file with these constants, all of which take one number of the pool but long ones."""
    count = 1 + sum(2 if each[0] in (5, 6) else 1 for each in constants)
    return struct.pack(">IHHH", 0xCAFEBABE, 0, 52, count) + b"".join(constants) + tail


def text(value):
    return struct.pack(">BH", 1, len(value)) + value


def test_every_text_of_the_pool_moves_and_nothing_else():
    number = struct.pack(">BQ", 5, int.from_bytes(b"org/mbex"))
    before = class_file(text(b"(Lorg/m/W;[Lorg/m/W$A;)V"), number, struct.pack(">BH", 8, 1), text(b"org.m/a"))
    after = class_file(text(b"(La/bcd/ef/W;[La/bcd/ef/W$A;)V"), number, struct.pack(">BH", 8, 1), text(b"a.bcd.ef/a"))
    assert relocate_class(before, source="org.m", target="a.bcd.ef") == after


def test_only_the_pool_is_rewritten():
    tail = b"code that looks like org/m by chance"
    assert relocate_class(class_file(text(b"x"), tail=tail), source="org.m", target="b.c").endswith(tail)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\3\4" + bytes(8), "a class file must start with CAFEBABE, got 504B0304"),
        (class_file(struct.pack(">BH", 2, 1)), "must have a tag of Java 8, got 2"),
    ],
)
def test_what_is_no_class_file_is_refused(content, message):
    with pytest.raises(StageError, match=message):
        relocate_class(content, source="org.m", target="b.c")


@pytest.mark.parametrize("task", Task)
@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda each: each.name)
@settings(max_examples=25)
@given(package=PACKAGES.map("qq.{}".format))  # the way back needs a name that no class of Android has within its own
@example(package="org.mbexport.wrapper.more")
def test_there_and_back_gives_the_same_bytes(task, runtime, package):
    moved = wrapper.classes(package, task, runtime)
    old, new = (name.replace(".", "/") for name in (wrapper.PACKAGE, package))
    assert len(moved) == len(wrapper.classes(wrapper.PACKAGE, task, runtime)) > 10
    for name, content in wrapper.classes(wrapper.PACKAGE, task, runtime).items():
        assert relocate_class(moved[name.replace(old, new)], source=package, target=wrapper.PACKAGE) == content


@needs_javac_17
@pytest.mark.parametrize("task", Task)
@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda each: each.name)
@pytest.mark.parametrize("package", [wrapper.PACKAGE, "a.b", "com.acme.a_rather_long_name.of_a_package.x1", "in.acme"])
def test_a_bundles_classes_are_those_of_its_sources(package, task, runtime):
    sources = wrapper.sources(package, task, runtime)
    del sources[wrapper.TEST]
    assert wrapper_classes.compiled(sources) == wrapper.classes(package, task, runtime), (
        "the Java sources were changed: `make java-classes` writes their classes"
    )


@needs_javac_17
@pytest.mark.parametrize("task", Task)
@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda each: each.name)
def test_the_wrapper_calls_nothing_that_java_7_did_not_have(task, runtime):
    """Android 5 has the classes of Java 7, and of Java 8 only what the app's build adds."""
    sources = wrapper.sources("a.b", task, runtime)
    del sources[wrapper.TEST]
    assert len(wrapper_classes.compiled(sources, release="7")) == len(wrapper.classes("a.b", task, runtime))


@needs_java
def test_two_bundles_live_in_one_app(tmp_path):
    classes = written(
        wrapper.classes("com.acme.cats", Task.CLASSIFY, LITERT_2)
        | wrapper.classes("com.acme.dogs", Task.DETECT, LITERT_1),
        tmp_path,
    )
    both = b"""
    class Both {
        public static void main(String[] arguments) throws Exception {
            for (Class<?> each : new Class<?>[] {com.acme.cats.Settings.class, com.acme.dogs.Settings.class}) {
                System.out.println(each.getField("FOLDER").get(null) + " " + each.getMethods().length);
            }
        }
    }"""
    written(wrapper_classes.compiled({"Both.java": both}, class_path=(classes,)), tmp_path)
    told = subprocess.run(["java", "-Xverify:all", "-cp", tmp_path, "Both"], check=True, capture_output=True, text=True)
    folders = [line.split() for line in told.stdout.splitlines()]
    assert [folder for folder, _ in folders] == ["com.acme.cats", "com.acme.dogs"]


@pytest.mark.parametrize("task", Task)
@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda each: each.name)
def test_sources_name_the_package_alone(task, runtime):
    for name, content in wrapper.sources("com.acme.flowers", task, runtime).items():
        assert content.startswith(b"package com.acme.flowers;\n"), name
        assert b"mbexport.wrapper" not in content
    assert relocate_source(b"import org.m.A; // org/m", source="org.m", target="b") == b"import b.A; // b"
