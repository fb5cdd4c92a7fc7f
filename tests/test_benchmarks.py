import ast
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from attn_research.data.batching import EncodedSplit, Sentences
from attn_research.runs import clock
from benchmarks import agreement, measure, records, server, tables
from benchmarks.questions import OURS, QUESTIONS, SideSpec, growth, load_question, padding
from benchmarks.run import DEFAULT_QUESTIONS, main, table_of
from benchmarks.workloads import WORKLOADS, make_batch

ROOT = Path(__file__).parents[1]
PLAN = measure.MeasurementPlan(full=False, repetitions=2, blocks=2, seconds=1.0, waiting=0.0)


def block(milliseconds, others=0.0):
    return {"seconds": milliseconds / 1e3, "units": 5, "others": others}


def test_only_blocks_without_other_load_count():
    blocks = [block(100), block(900, others=0.5), block(110), block(120, others=-0.01), block(500, others=0.06)]
    assert measure.quiet(blocks) == [0.1, 0.11, 0.12]
    assert measure.median(blocks, needed=3) == 0.11
    assert measure.median(blocks, needed=4) is None
    assert measure.median([], needed=0) is None


def test_time_of_finished_children_is_not_other_load(monkeypatch):
    seconds = iter([10.0, 10.5])
    monkeypatch.setattr(clock, "_other_processes_seconds", lambda: next(seconds))
    monkeypatch.setattr(clock.Clock, "total", 5.0)
    assert clock.Clock("block").other_cores == pytest.approx(0.1)


@pytest.mark.parametrize(("used", "idle"), [(0.05, True), (0.07, False)])
def test_a_machine_is_idle_below_a_bound(monkeypatch, used, idle):
    seconds = iter([10.0, 10.0 + used])
    monkeypatch.setattr(clock, "_other_processes_seconds", lambda: next(seconds))
    monkeypatch.setattr(clock.Clock, "total", 1.0)
    assert clock.Clock("block").idle is idle


class FakeServer:
    def __init__(self, *others):
        self.other_cores = list(others)

    def block(self, seconds):
        return block(100, self.other_cores.pop(0) if self.other_cores else 0.0)


def test_sides_take_turns_until_all_have_enough_quiet_blocks():
    servers = {"a": FakeServer(0.5), "b": FakeServer()}
    blocks = measure.measure_in_turn(servers, PLAN)
    assert {side: len(units) for side, units in blocks.items()} == {"a": 3, "b": 3}


def test_measuring_stops_on_a_busy_machine():
    blocks = measure.measure_in_turn({"a": FakeServer(*[1.0] * 99)}, PLAN)
    assert len(blocks["a"]) == measure.ROUNDS * PLAN.blocks
    assert measure.measure_in_turn({}, PLAN) == {}


def test_waiting_ends_when_the_machine_is_idle(monkeypatch):
    sleeps = []
    monkeypatch.setattr(measure.time, "sleep", sleeps.append)
    monkeypatch.setattr(clock.Clock, "idle", property(lambda self: len(sleeps) == 3))
    measure.wait_until_idle(60)
    assert len(sleeps) == 3


@pytest.mark.parametrize(("long", "warmups"), [(10.0, 1), (0.0, 0)])
def test_a_block_has_at_least_one_unit_and_short_units_a_warmup(long, warmups, monkeypatch):
    units = []
    monkeypatch.setattr(server, "LONG", long)
    assert server.block(lambda: units.append(1), 0.0)["units"] == len(units) - warmups == 1


def record(*, left_out=()):
    def side(*repetitions, **facts):
        return {"facts": facts, "repetitions": [[block(*arguments) for arguments in blocks] for blocks in repetitions]}

    return {
        "question": "step", "plan": PLAN._asdict(), "date": "2026-01-02T03:04:05+00:00", "commit": "c" * 40,
        "dirty": False, "machine": "a machine", "device": "cpu", "threads": 2,
        "left_out": list(left_out), "versions": {"jax": "1.0", "flax": "2.0", "torch": None},
        "rows": {
            "W1 dot": {
                OURS: side([(100,), (104,)], [(110,), (110,)], first=3.0),
                "PyTorch, well written": side(
                    [(150,), (150,)], [(165,), (165,), (999, 1.0)], first=0.5, difference=2e-6
                ),
            },
            "W1 concat": {OURS: side([(120,), (120,)], [(120,), (130, 0.9)], first=3.2)},
        },
    }  # fmt: skip


TABLE = """\
**Training step with input feeding**

|  | side | ms | relative time | first step, s | largest difference | quiet blocks |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
| W1 dot | attn-research | 106 [102, 110] | – | 3 | – | 4 of 4 |
|  | PyTorch, well written | 158 [150, 165] | 1.49 [1.47, 1.5] | 0.5 | 2e-06 | 4 of 5 |
| W1 concat | attn-research | 120 | – | 3.2 | – | 3 of 4 |

- Median [min, max] of 2 repetitions. Each is the median of at least 2 quiet blocks, in which no other process used \
the CPU.
- W1 concat, attn-research: 1 of 2 repetitions have enough quiet blocks (3 of 4 blocks are quiet). The machine was not \
idle.
- Not measured, because PyTorch is not installed: W1 concat, PyTorch, well written.
- 2026-01-02; commit `cccccccccc`; a machine (cpu, threads: 2); jax 1.0, flax 2.0.
"""


def test_a_known_record_has_a_known_table():
    assert load_question("step").table(record(left_out=["W1 concat, PyTorch, well written"])) == TABLE


def test_growth_is_plotted(tmp_path):
    def known(rows, **facts):
        return record() | {"rows": {row: {OURS: {"facts": facts, "repetitions": [[block(100)] * 2]}} for row in rows}}

    sizes = known(
        [f"{axis} {size}" for axis in ("length", "batch", "hidden", "variants") for size in (8, 16)], peak_bytes=2**30
    )
    additive = known(["T = S = 16, B = 64", "T = S = 50, B = 32"], bytes=2**20)
    growth.draw(sizes, additive, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_one_repetition_shows_the_spread_of_its_blocks():
    known = record()
    for sides in known["rows"].values():
        for side in sides.values():
            side["repetitions"] = side["repetitions"][:1]
    first, second, _ = tables.entries(known)
    assert tables.spread(first.seconds, 1e3) == "102 [100, 104]"
    assert tables.spread(tables.ratios(second, first)) == "1.47"
    assert "within measurement noise" in load_question("step").table(known)


def test_a_record_is_read_as_written(tmp_path):
    records.write(tmp_path, record())
    assert records.read(tmp_path, "step") == record()
    assert records.read(tmp_path, "sweep") is None


def test_repetitions_accumulate_and_keep_the_first_facts():
    result = {"rows": {}}
    for first in (3.0, 1.0):
        records.add(result, "W1 dot", {OURS: {"facts": {"first": first}, "blocks": [block(100)]}})
    assert result["rows"]["W1 dot"][OURS] == {"facts": {"first": 3.0}, "repetitions": [[block(100)], [block(100)]]}


def test_tables_fill_their_markers():
    text = "a\n<!-- table of benchmarks/results/step.json -->\nold\n<!-- end of table -->\nb\n"
    filled = tables.fill(text, lambda name: f"table of {name}\n")
    assert filled == text.replace("old", "table of step")
    text = "<!-- table of benchmarks/results -->\nold\n<!-- end of table -->\n"
    assert tables.fill(text, lambda name: f"table of {name}\n") == text.replace("old", "table of summary")


SUMMARY = """\
| time | median [min, max] |
| --- | ---: |
| training step: PyTorch, well written / ours | 1.49 [1.47, 1.5] |
| training step: PyTorch with `torch.compile` / ours | – |
| decoding, beam 5: loop in PyTorch / ours | 1.49 [1.47, 1.5] |
| sweep of the demo: one process per run, nothing cached / ours | 1.49 [1.47, 1.5] |
| process start to first training step, warm cache: seconds | 0.106 [0.102, 0.11] |

- Training and decoding: `dot` score, 512 units, 8,000 target symbols, batches of 64 (workload W2-64).
"""


def test_the_summary_has_one_line_per_figure(tmp_path):
    assert table_of("summary", tmp_path) == ""
    ours, pytorch = record()["rows"]["W1 dot"].values()
    rows = {
        "step": {"W2-64 dot": {OURS: ours, "PyTorch, well written": pytorch}},
        "decoding": {"beam 5": {OURS: ours, "PyTorch loop": pytorch}},
        "sweep": {"the runs of an experiment": {"attn-research sweep": ours, "one by one": pytorch}},
        "start": {"attn-research train configs/dates.py, to its first step": {"warm cache": ours}},
    }
    for question, row in rows.items():
        records.write(tmp_path, record() | {"question": question, "rows": row})
    assert table_of("summary", tmp_path) == SUMMARY


def test_documentation_shows_the_tables_of_committed_records():
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        assert tables.fill(text, lambda name: table_of(name, records.RESULTS)) == text, path


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("name", QUESTIONS)
def test_every_side_of_every_row_exists(name, full):
    for specs in load_question(name).rows(full).values():
        for spec in specs.values():
            module, _, function = spec.target.partition(":")
            tree = ast.parse(Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8"))
            assert function in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def test_default_questions_are_known():
    assert set(DEFAULT_QUESTIONS) <= set(QUESTIONS)


def test_an_unknown_question_is_one_sentence(capsys):
    assert main(["stepp"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("attn-research: no question 'stepp'; known: additive, ")
    assert error.endswith("; did you mean step?\n")


@pytest.mark.parametrize("option", ["repetitions", "blocks"])
def test_a_number_below_one_is_one_sentence(option, capsys):
    assert main(["step", f"--{option}", "0"]) == 2
    assert capsys.readouterr().err == f"attn-research: --{option} is 0, but must be at least 1\n"


def test_a_failed_setup_is_one_sentence(tmp_path):
    spec = SideSpec("benchmarks.questions.padding:padding", {"name": "nothing"})
    with pytest.raises(ValueError, match=r"^padding, ours: no file .*nothing\.py"):
        measure.measure("padding", {"ours": spec}, PLAN, tmp_path, {})


def test_sides_that_differ_are_rejected():
    expected = {"W": np.array([1.0, 2.0]), "b": np.array([1e-9])}
    shifted = {"W": expected["W"] + 1e-4, "b": expected["b"]}
    assert agreement.require_close("x", expected, shifted) == pytest.approx(5e-5)
    with pytest.raises(ValueError, match=r"^x: .*; W differs by 1\.0e-03"):
        agreement.require_close("x", expected, {"W": expected["W"] + 2e-3, "b": expected["b"]})
    with pytest.raises(ValueError, match="b differs"):
        agreement.require_close("x", expected, expected | {"b": np.zeros(1)})
    with pytest.raises(ValueError, match="W differs by nan"):
        agreement.require_close("x", expected, expected | {"W": np.array([np.nan, 2.0])})
    with pytest.raises(ValueError, match=r"^x: the two sides differ in b$"):
        agreement.require_close("x", expected, {"W": expected["W"]})


def test_groups_of_arrays_are_read_as_written(tmp_path):
    agreement.write(tmp_path, parameters={"a/W": np.ones(2)}, losses={"loss": np.zeros(1)})
    groups = agreement.read(tmp_path)
    assert {group: list(arrays) for group, arrays in groups.items()} == {"parameters": ["a/W"], "losses": ["loss"]}


@pytest.mark.parametrize("ragged", [True, False])
def test_only_ragged_batches_have_padding(ragged):
    sizes = WORKLOADS["W1"]
    batch = make_batch(sizes, ragged)
    assert batch.source.shape == (sizes.batch, sizes.source_length)
    assert (batch.source == 0).any() == (batch.target == 0).any() == ragged
    assert batch.source.max() < sizes.source_symbols


def test_the_share_of_real_symbols_includes_empty_rows():
    encoded = EncodedSplit(*[Sentences.from_lists([[1], [1], [1, 1, 1]])] * 2)
    assert padding.share(encoded, ((3, 3),), batch=2) == {"real": 10 / 24, "compiled": 1}
    assert padding.share(encoded, ((1, 1), (3, 3)), batch=2) == {"real": 10 / 16, "compiled": 2}
