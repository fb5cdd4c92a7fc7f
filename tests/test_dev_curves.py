"""The column of steps to a target on dev, read from records with made-up dev curves."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from known_records import first, record, split

from attn_research.metrics import METRICS
from attn_research.reports.columns import column
from attn_research.reports.dev_curves import dev_curve
from attn_research.reports.tables import Table

COLUMN = "steps_to:dev/exact>=0.9"
CURVES = st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=6)


def run(values, seed=0, metric="exact", every=500, **changes):
    """Returns a record with a dev curve of one metric; without a curve if `values` is None."""
    result = record(seed=seed, test=split(first(50)), **changes)
    if values is None:
        return result
    steps = [every * (number + 1) for number in range(len(values))]
    return result | {"dev": {"step": steps, metric: list(values)}}


def row(*curves, **changes):
    return {"dot": [run(values, seed, **changes) for seed, values in enumerate(curves)]}


def build(rows, name=COLUMN):
    """Returns the cells of the only column by row, and the notes."""
    table = Table("model.attention.score", (name,)).build(rows)
    return {label: cell for label, (cell,) in table.rows.items()}, "\n".join(table.notes)


def cell_of(rows, name=COLUMN):
    return column(name).cells(rows)["dot"]


@pytest.mark.parametrize(
    ("curves", "text", "value"),
    [
        ([[0.5, 0.9, 0.8], [0.95, 0, 0], [0, 0, 1]], "1000", 1000),
        ([[0.5, 0.9], [0.95, 0]], "750", 750),
        ([[0.5, 0.9, 0], [0.95, 0, 0], [0, 0, 0]], "1000 (2 of 3 reached)", 1000),
        ([[0.5, 0.9, 0], [0, 0, 0], [0, 0, 0]], "> 1500 (1 of 3 reached)", math.inf),
        ([[0, 0], [0, 0]], "> 1000 (0 of 2 reached)", math.inf),
        ([[0, None], [None, 0.9]], "> 1000 (1 of 2 reached)", math.inf),
        ([[0], [0, 0, 0.9], [0, 0, 0, 0]], "> 1500 (1 of 3 reached)", math.inf),  # the first stopped early
        ([None, [0, 0.9]], "1000", 1000),
        ([None, None], "–", None),
    ],
)
def test_a_cell_is_the_median_of_the_first_steps_that_reach_the_target(curves, text, value):
    cell = cell_of(row(*curves))
    assert (cell.text, cell.value, cell.interval) == (text, value, None)


@given(st.lists(CURVES, min_size=1, max_size=5), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_target_takes_at_least_as_many_steps(curves, a, b):
    easy, hard = (cell_of(row(*curves), f"steps_to:dev/exact>={target}") for target in sorted((a, b)))
    assert easy.value <= hard.value


@given(CURVES, st.floats(0, 1))
def test_errors_below_a_target_take_as_many_steps_as_their_complement_above_it(values, target):
    assume(all(value is None or (value >= target) == (1 - value <= 1 - target) for value in values))
    errors = [None if value is None else 1 - value for value in values]
    higher = cell_of(row(values), f"steps_to:dev/exact>={target}")
    assert higher == cell_of(row(errors, metric="wer"), f"steps_to:dev/wer<={1 - target}")


@given(st.permutations([[0.1, 0.9], [0.9, 0.1], [0, 0], [None, 0.95]]))
def test_the_order_of_seeds_does_not_matter(curves):
    assert cell_of(row(*curves)).text == "1000 (3 of 4 reached)"


def test_the_header_and_the_notes_say_what_the_column_is():
    rows = row([0, 0.9], [0, 0], None) | {"concat": [run([0.9]), run(None, seed=1)]}
    _, notes = build(rows)
    header = "steps to dev exact match ≥ 90 %"
    assert column(COLUMN).header == header and column("steps_to:dev/loss<=0.5").header == "steps to dev loss ≤ 0.5"
    assert (
        f"{header}: the first evaluation on dev, which is every 500 steps, that reaches it; median over seeds. "
        "Seeds that do not reach it count as larger than every step: `dot` 1 of 3." in notes
    )
    assert f"{header}: no dev curve of `dot` seed 2, `concat` seed 1." in notes
    assert "count as larger" not in build(row([0.9]))[1] and "no dev curve" not in build(row([0.9]))[1]
    assert f"{header}: no record has a dev curve." in build(row(None))[1]


def test_a_column_of_steps_may_be_of_one_task_and_renders_in_every_format():
    def of(task, values, seed):
        result = run(values, seed)
        return result | {"config": result["config"] | {"data.task": task}}

    records = [of(task, values, seed) for task, values in (("dates", [0.9]), ("reverse", [0, 0])) for seed in (0, 1)]
    table = Table("model.attention.score", (f"dates:{COLUMN}", f"reverse:{COLUMN}")).build({"dot": records})
    assert [cell.text for cell in table.rows["dot"]] == ["500", "> 1000 (0 of 2 reached)"]
    assert table.columns[0].header == "dates: steps to dev exact match ≥ 90 %"
    assert r"$\geq$ 90 \%" in table.render("tex") and r"\textgreater{} 1000 (0 of 2 reached)" in table.render("tex")
    assert f"row,dates:{COLUMN},reverse:{COLUMN},source\ndot,500,inf,records\n" == table.render("csv")


def test_diverged_runs_count_for_nothing():
    diverged = run([0, 0], seed=1) | {"status": "diverged", "splits": {}}
    assert build({"dot": [run([0.9]), diverged]})[0]["dot"].text == "500"


def test_a_curve_of_another_metric_is_an_error():
    with pytest.raises(ValueError, match="no record has the dev metric 'wer'; known: exact"):
        build(row([0.9]), "steps_to:dev/wer<=0.1")
    assert dev_curve(run([0.9]), "wer") is None and dev_curve(run(None), "exact") is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("steps_to:dev/exact<=0.9", "has <=, but higher exact match is better; did you mean steps_to:dev/exact>=0.9"),
        ("steps_to:dev/loss>=0.5", "has >=, but lower loss is better; did you mean steps_to:dev/loss<=0.5"),
        ("steps_to:dev/exact>0.9", "did you mean steps_to:dev/exact>=0.9"),
        ("steps_to:dev/exact=>0.9", "did you mean steps_to:dev/exact>=0.9"),
        ("steps_to:dev/exat>=0.9", "no metric 'exat'.*did you mean exact"),
        ("steps_to:dev/entropy>=0.9", "no metric 'entropy' whose values are better or worse; known: aer"),
        ("steps_to:test/exact>=0.9", "is of test, but.*only on dev, as steps_to:dev/exact>=0.9"),
        ("steps_to:dev/exact>=90", "a number from 0 to 1; did you mean steps_to:dev/exact>=0.9"),
        ("steps_to:dev/exact>=90%", "a number from 0 to 1; did you mean steps_to:dev/exact>=0.9"),
        ("steps_to:dev/loss<=nan", "a number from 0 to inf$"),
        ("steps_to:dev/exact>=high", "target 'high', which is no number; its form is steps_to:dev/METRIC>=VALUE"),
        ("steps_to:dev/exact", "is not of the form steps_to:dev/METRIC>=VALUE"),
        ("steps_to:exact>=0.9", "is not of the form steps_to:dev/METRIC>=VALUE"),
        ("dates:steps_to:dev/exact", "is not of the form"),
        ("dev/exact>=0.9", "did you mean steps_to:dev/exact>=0.9"),
        ("step_to:dev/exact>=0.9", "did you mean steps_to:dev/exact>=0.9"),
        ("steps_to:", "is not of the form"),
    ],
)
def test_a_wrong_form_is_one_sentence_with_the_nearest_valid_one(name, message):
    with pytest.raises(ValueError, match=message) as error:
        Table("model.attention.score", (name,))
    assert "\n" not in str(error.value)


@given(st.sampled_from(sorted(METRICS)), st.sampled_from(["<=", ">="]), st.floats(0.001, 0.999))
def test_each_metric_has_one_valid_relation(metric, relation, target):
    better = METRICS[metric].lower_is_better
    valid = metric != "perplexity" and better is not None and relation == ("<=" if better else ">=")
    name = f"steps_to:dev/{metric}{relation}{target}"
    if valid:
        assert column(name).target == target
    else:
        with pytest.raises(ValueError):
            column(name)
