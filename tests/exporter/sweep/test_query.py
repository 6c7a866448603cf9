"""Questions of `--pick`: what each means, and how those that mean nothing are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import OptionError
from mbexport.sweep.query import NAMES, OBJECTIVES, QUANTITIES, parse_query


def limits(text: str) -> list[tuple[str, str, object]]:
    return [(each.name, each.sign, each.limit) for each in parse_query(text).conditions]


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("top1>=0.8", ("top1", ">=", 0.8)),
        ("top1 >= 80%", ("top1", ">=", 0.8)),
        ("TOP1>80 %", ("top1", ">", 0.8)),
        ("agreement>=97.5%", ("agreement", ">=", 0.975)),
        ("latency<=5ms", ("latency", "<=", 5.0)),
        ("latency<=5", ("latency", "<=", 5.0)),
        ("latency<800us", ("latency", "<", 0.8)),
        ("latency<=0.1s", ("latency", "<=", 100.0)),
        ("size<=3MB", ("size", "<=", 3_000_000.0)),
        ("size<=3 mib", ("size", "<=", 3.0 * 2**20)),
        ("size<=.5KiB", ("size", "<=", 512.0)),
        ("mult_adds<=150M", ("mult_adds", "<=", 150e6)),
        ("mult-adds<=1.2B", ("mult_adds", "<=", 1.2e9)),
        ("parameters<=500K", ("parameters", "<=", 500e3)),
        ("alpha<=0.5", ("alpha", "<=", 0.5)),
        ("resolution=128", ("resolution", "=", "128")),
        ("resolution==128x128", ("resolution", "=", "128")),
        ("resolution<=96x128", ("resolution", "<=", 96.0 * 128)),
        ("format=TFLite", ("format", "=", "tflite")),
        ("precision=int8", ("precision", "=", "int8")),
        ("arch=mobilenet_v2", ("arch", "=", "mobilenet_v2")),
        ("conv=standard", ("conv", "=", "standard")),
        ("point=0.25_96x128", ("point", "=", "0.25_96x128")),
    ],
)
def test_a_condition_by_hand(text, condition):
    assert limits(text) == [condition]


@pytest.mark.parametrize(
    "text", ["top1>=0.8,format=onnx", "top1>=0.8 and format=onnx", " top1 >= 0.8 AND format = onnx "]
)
def test_conditions_are_combined(text):
    assert [name for name, _, _ in limits(text)] == ["top1", "format"]


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("top1>=0.8", "smallest"),
        ("agreement>=0.9, latency<=5ms", "smallest"),
        ("latency<=5ms", "most-accurate"),
        ("format=tflite", "most-accurate"),
        ("top1<=0.8", "most-accurate"),
        ("top1>=0.8, fastest", "fastest"),
        ("top1>=0.8 and cheapest", "cheapest"),
        ("size<=1MB, Most_Accurate", "most-accurate"),
        ("smallest", "smallest"),
    ],
)
def test_the_objective_is_the_one_that_was_named_or_the_usual_one(text, objective):
    assert parse_query(text).objective.name == objective


def test_any_takes_points_that_failed_a_gate():
    assert parse_query("top1>=0.8, any").takes_failed
    assert not parse_query("top1>=0.8").takes_failed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("top2>=0.8", "got top2; did you mean top1?"),
        ("top1>=80", "top1 of --pick must be a fraction such as 0.8 or 80%, got 80"),
        ("top1>=-1", "got -1"),
        ("top1>=nan", "got nan"),
        ("latency<=5m", "latency of --pick must be a time such as 5ms, 800us or 0.1s, got 5m"),
        ("size<=3", "size of --pick must be a size with its unit, such as 3MB or 500KiB, got 3"),
        ("format=tfl", "format of --pick must be one of tflite, onnx, keras, got tfl"),
        ("precision>=int8", "--pick compares precision with = only, got precision>=int8"),
        ("resolution=big", "resolution must be PX or HEIGHTxWIDTH, for example 96 or 96x128, got big"),
        ("smalest", "got smalest; did you mean smallest?"),
        ("top1", "got top1"),
        ("", "got nothing"),
        ("top1>=0.8,", "got nothing"),
        (
            "smallest, fastest",
            "--pick must ask for one of smallest, fastest, cheapest, most-accurate, got smallest and",
        ),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(text, told):
    with pytest.raises(OptionError) as error:
        parse_query(text)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@given(
    st.text(max_size=30)
    | st.lists(st.sampled_from([*NAMES, *OBJECTIVES, ">=", "=", "1", "MB", ",", " and ", "%"])).map("".join)
)
def test_any_text_is_a_query_or_an_option_error(text):
    try:
        query = parse_query(text)
    except OptionError:
        return
    assert parse_query(query.text) == parse_query(parse_query(query.text).text)
    assert limits(query.text) == limits(text)


@given(st.sampled_from(sorted(QUANTITIES)), st.floats(0, 1), st.data())
def test_units_scale(name, value, data):
    unit = data.draw(st.sampled_from(sorted(QUANTITIES[name].units)))
    ((_, _, limit),) = limits(f"{name}<={value:.6f}{unit}")
    assert limit == pytest.approx(round(value, 6) * QUANTITIES[name].units[unit])
