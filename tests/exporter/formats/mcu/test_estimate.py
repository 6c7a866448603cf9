"""Reading what Vela says: by hand, any numbers that fit each other, and nothing that is damaged."""

import pytest
from fake_vela import PRINTED, ROW, table_of
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.formats.mcu.estimate import Estimate, LeftOp, read_estimate, read_placement
from mbexport.formats.mcu.targets import Npu

NPU = Npu(accelerator="Ethos_U55_256", system_config="Ethos_U55_High_End_Embedded", memory_mode="Shared_Sram")
READ = [name for name in ROW if name != "experiment"]
NUMBERS = [name for name in READ if isinstance(ROW[name], int | float)]
BYTES = st.integers(0, 2**40)


def test_the_table_by_hand():
    assert read_estimate(table_of(), NPU) == Estimate(
        clock_hz=500e6,
        sram_bytes=1006352,
        dram_bytes=0,
        on_chip_flash_bytes=0,
        off_chip_flash_bytes=2412800,
        cycles=2000000,
        npu_cycles=1500000,
        seconds=0.004,
        per_second=250.0,
    )


@given(st.lists(BYTES, min_size=4, max_size=4), st.integers(1, 2**40), BYTES, st.sampled_from([2e8, 5e8, 1e9]))
def test_numbers_come_back_as_they_went_in(areas, cycles, npu_cycles, clock):
    names = ("sram", "dram", "on_chip_flash", "off_chip_flash")
    found = read_estimate(
        table_of(
            **{f"{name}_memory_used": area / 1024 for name, area in zip(names, areas, strict=True)},
            core_clock=clock,
            cycles_total=cycles,
            cycles_npu=npu_cycles,
            inference_time=cycles / clock,
            inferences_per_second=clock / cycles,
        ),
        NPU,
    )
    assert [getattr(found, f"{name}_bytes") for name in names] == areas
    assert (found.cycles, found.npu_cycles, found.clock_hz) == (cycles, npu_cycles, clock)


@given(st.sampled_from(READ), st.sampled_from([None, "", "many", "nan", "inf", "-1", "1e999"]))
def test_a_column_that_is_missing_or_no_number_is_refused(name, value):
    with pytest.raises(DataError, match=f"^Vela's table must .*{name}"):
        read_estimate(table_of(**{name: value}), NPU)


@given(st.sampled_from(["core_clock", "inference_time", "inferences_per_second", "cycles_total"]), st.integers(2, 99))
def test_numbers_that_contradict_each_other_are_refused(name, factor):
    with pytest.raises(DataError, match=r"^Vela's table contradicts itself: "):
        read_estimate(table_of(**{name: ROW[name] * factor}), NPU)


@pytest.mark.parametrize("table", ["", table_of().split("\n")[0], table_of() + table_of().split("\n")[1] + "\n"])
def test_other_than_one_row_is_refused(table):
    with pytest.raises(DataError, match=r"^Vela's table must have one row, got [02]$"):
        read_estimate(table, NPU)


def test_half_a_byte_is_refused():
    with pytest.raises(DataError, match=r"whole number of cycles or bytes as sram_memory_used, got 0\.00048828125$"):
        read_estimate(table_of(sram_memory_used=0.5 / 1024), NPU)


def test_the_placement_by_hand():
    found = read_placement(PRINTED)
    reason = "Operation has tensor with unsupported DataType Float32 (conv_4_act)"
    assert found.npu_ops == 7
    assert found.left == (
        LeftOp(output="conv_4", kind="RELU6", reason=reason),
        LeftOp(output="boxes", kind="CUSTOM", reason="Unsupported opType"),
        LeftOp(output="last one", kind=None, reason=None),
    )


names = st.text(st.characters(exclude_characters="\n\r", exclude_categories=("Cs",)), min_size=1, max_size=20)


@given(st.lists(names, max_size=8), st.integers(0, 500))
def test_every_op_of_the_cpu_is_found_whatever_its_name(outputs, npu_ops):
    left = "".join(f"   CPU: Softmax = {name} (outputs [1, 10])\n" for name in outputs)
    said = f"CPU operators = {len(outputs)} (1.0%)\n{left}NPU operators = {npu_ops} (99.0%)\n"
    found = read_placement(said)
    assert found.npu_ops == npu_ops
    assert [op.output for op in found.left] == outputs
    assert {op.kind for op in found.left} <= {"Softmax"}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ("", "must say once how many ops the CPU and the NPU take, got 0"),
        (PRINTED.replace("NPU operators", "Operators"), "must say once .* got 1"),
        (PRINTED + "CPU operators = 0 (0.0%)\n", "must say once .* got 3"),
        (PRINTED.replace("CPU operators = 3", "CPU operators = 4"), "it counts 4, and names 3"),
        (PRINTED.replace("   CPU: Passthrough = boxes", "boxes"), "it counts 3, and names 2"),
        (PRINTED.replace("= boxes", "= boxes\nCPU operators = 0 (0.0%)\n"), "must say once .* got 3"),
    ],
)
def test_counts_that_are_missing_doubled_or_wrong_are_refused(changed, reason):
    with pytest.raises(DataError, match=reason):
        read_placement(changed)
