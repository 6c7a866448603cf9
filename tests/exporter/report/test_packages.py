"""What reports say of Core ML packages, in each of their forms: always that Core ML did not run."""

import io

from example_reports import of_build, with_packages
from report_schema import objections

from mbexport.report.card.registry import card_of
from mbexport.report.card.sentences import limits
from mbexport.report.formatting import packages
from mbexport.report.page.render import page
from mbexport.report.summary.classification import classification_sections
from mbexport.report.terminal import print_report

LINE = (
    "coreml/a_fp16.mlpackage, 5.22 MB, from iOS15 on: weights and input proved; 99.00% of 100 images as float, "
    "simulated here and not run: Core ML needs macOS or iOS"
)
NOT_RUN = "simulated here and not run: Core ML needs macOS or iOS"


def test_a_line_each_by_hand():
    simulated, failed = packages(with_packages())
    assert simulated == LINE
    assert failed.endswith("from iOS16 on: answers not known: it has the operation erf & <b>more</b>")
    assert packages(of_build()) == []


def test_the_terminal_and_the_card_say_it():
    report, out = with_packages(), io.StringIO()
    print_report(report, stream=out, out=None)
    assert LINE in " ".join(out.getvalue().split())
    assert f"For Core ML: {LINE}." in limits(report, card_of(report))


def test_the_page_has_a_table_of_its_own_and_escapes_reasons():
    shown = page(with_packages(), {}).decode()
    assert "Core ML packages, simulated" in shown
    assert NOT_RUN in shown
    assert "could not be simulated: it has the operation erf &amp; &lt;b&gt;more&lt;/b&gt;" in shown
    assert "Core ML packages" not in page(of_build(), {}).decode()


def test_the_job_summary_has_a_table():
    (simulated,) = [each for each in classification_sections(with_packages()) if "Core ML packages" in each]
    assert "a_fp16.mlpackage" in simulated
    assert NOT_RUN in simulated
    assert not [each for each in classification_sections(of_build()) if "Core ML" in each]


def test_the_schema_knows_each_field():
    report = with_packages()
    assert objections(report) == []
    del report["coreml"][0]["device"]
    assert objections(report)
