"""What reports say of files that were compiled for NPUs, in each of their forms."""

import io

from example_reports import of_build, with_npu
from report_schema import objections

from mbexport.report.card.registry import card_of
from mbexport.report.card.sentences import limits
from mbexport.report.formatting import compiled_files
from mbexport.report.page.render import page
from mbexport.report.summary.classification import classification_sections
from mbexport.report.terminal import print_report

ALIKE = (
    "npu/a_int8_qualcomm-sm8650.onnx, 2.86 MB for Snapdragon 8 Gen 3 (qualcomm:SM8650): 93.75% of 16 images as "
    "a_int8.onnx on the CPU, at most 17 LSB apart, on Hexagon v75, simulated"
)


def test_a_line_each_by_hand():
    alike, failed = compiled_files(with_npu())
    assert alike == ALIKE
    assert failed.endswith(
        "for Snapdragon 888 (qualcomm:SM8350): not known: qnn-htp:v68 crashed (SIGSEGV) & <b>more</b>"
    )
    assert compiled_files(of_build()) == []


def test_the_terminal_and_the_card_say_it():
    report, out = with_npu(), io.StringIO()
    print_report(report, stream=out, out=None)
    assert ALIKE in " ".join(out.getvalue().split())
    assert f"Compiled for one chip, and emulated: {ALIKE}." in limits(report, card_of(report))


def test_the_page_has_a_table_of_its_own_and_escapes_reasons():
    shown = page(with_npu(), {}).decode()
    assert "Files compiled for NPUs, emulated" in shown
    assert "Snapdragon 8 Gen 3" in shown
    assert "could not be emulated: qnn-htp:v68 crashed (SIGSEGV) &amp; &lt;b&gt;more&lt;/b&gt;" in shown
    assert "Files compiled for NPUs" not in page(of_build(), {}).decode()


def test_the_job_summary_has_a_table():
    *_, compiled = classification_sections(with_npu())
    assert "npu/a\\_int8" in compiled or "npu/a_int8_qualcomm-sm8650.onnx" in compiled
    assert classification_sections(of_build())[-1] == ""


def test_the_schema_knows_each_field():
    report = with_npu()
    assert objections(report) == []
    del report["npu"][0]["chip"]
    assert objections(report)
