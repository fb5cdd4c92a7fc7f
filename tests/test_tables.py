import csv
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_records import first, record, split

from attn_research.config import Config, override, unflatten
from attn_research.reports.columns import format_bytes, format_si
from attn_research.reports.render import SPECIAL, csv_escape, escape, markdown_code, markdown_escape
from attn_research.reports.tables import Table

TABLE = Table(
    row="model.attention.score",
    columns=("test/exact", "test/per", "parameters", "flops_per_step", "ms"),
    title="Which score? 100_%",
    note="A note.",
)
PUBLISHED = {("Somebody & al. 2015", "test/per"): ("5.04", "SEEN-2")}

MD = """\
**Which score? 100\\_%**

|  | test exact match, % ↑ | test PER, % ↓ | parameters | FLOPs per step | ms per step |
| --- | ---: | ---: | ---: | ---: | ---: |
| `dot` | **90.0** [85.5, 94.0] | **1.0** [0.6, 1.5] | 38.2 k | 1.30 G | 7.5 |
| `none(feed="input")` | 30.0 [23.5, 36.5] | 7.0 [6.3, 7.6] | 38.2 k | 1.30 G | – |
| Somebody & al. 2015 (published, full size) | – | 5.04 (SEEN-2) | – | – | – |

- Mean over seeds [95 % bootstrap confidence interval over seeds and test items]: 2,000 replicates, the same for all \
rows. With few seeds it is widened as in Student's t interval.
- Bold: the best row of its column. †: not distinguishable from it: p is at least 0.05 in Welch's t-test over seeds \
and test items, after Holm's correction for all pairs of rows.
- Smallest difference from the best row that these seeds could detect with 80 % power, estimated for rows with the \
median variance over seeds: test exact match 9.8, test PER 1.0.
- Seeds per row: 3.
- Milliseconds: of runs on an otherwise idle machine; no such run of `none(feed="input")`.
- 6 records: commit `1234567890`; AMD EPYC (cpu, threads: 1); jax 0.10.2, flax 0.12.8.
- Published numbers are of full-size systems, not of our setting. Their source is in parentheses.
- A note.
"""
TEX = r"""\begin{table}
\centering
\caption{Which score? 100\_\%}
\begin{tabular}{lrrrrr}
\toprule
 & test exact match, \% $\uparrow$ & test PER, \% $\downarrow$ & parameters & FLOPs per step & ms per step \\
\midrule
\texttt{dot} & \textbf{90.0} {\footnotesize [85.5, 94.0]} & \textbf{1.0} {\footnotesize [0.6, 1.5]} & 38.2 k & 1.30 G & 7.5 \\
\texttt{none(feed="input")} & 30.0 {\footnotesize [23.5, 36.5]} & 7.0 {\footnotesize [6.3, 7.6]} & 38.2 k & 1.30 G & – \\
\midrule
Somebody \& al. 2015 (published, full size) & – & 5.04 (SEEN-2) & – & – & – \\
\bottomrule
\end{tabular}
"""  # noqa: E501
CSV = """\
row,test/exact,test/exact low,test/exact high,test/per,test/per low,test/per high,parameters,flops_per_step,ms,source
dot,0.9,0.855,0.94,0.01,0.006,0.0145,38200,1.3e+09,7.5,records
"none(feed=""input"")",0.3,0.235,0.365,0.07,0.0635,0.0765,38200,1.3e+09,,records
Somebody & al. 2015,,,,0.0504,,,,,,published: SEEN-2
"""


def row(score, right, seeds=3, **more):
    """Returns records whose seeds are correct on the same items, so that only items vary."""
    return [record(score, seed, test=split(first(right, 200)), **more) for seed in range(seeds)]


def rows():
    dot = row("dot", 180)
    dot[1] |= {"idle": False, "seconds": {"step": 99.0}}
    return {"dot": dot, 'none(feed="input")': row('none(feed="input")', 60, idle=False)}


@pytest.fixture(scope="module")
def built():
    return TABLE.build(rows(), PUBLISHED)


def test_a_table_renders_to_markdown(built):
    assert built.render("md") == MD


def test_a_table_renders_to_latex(built):
    assert built.render("tex").startswith(TEX)
    assert built.render("tex").endswith("A note.\\par\n\\end{minipage}\n\\end{table}\n")


def test_a_table_renders_to_csv(built):
    assert built.render("csv") == CSV


def test_an_unknown_format_is_rejected(built):
    with pytest.raises(ValueError, match="no format 'markdown'; known: csv, md, tex"):
        built.render("markdown")


def notes(rows, columns=("test/exact",), **more):
    return "\n".join(Table("model.attention.score", columns).build(rows, **more).notes)


def test_a_note_says_that_parameters_were_imported():
    origin = {"system": "Joey NMT", "file": "my `models`\n/a.npz", "sha256": "0123456789abcdef" * 4}
    rows = {"dot": row("dot", 180), "general": row("general", 170, seeds=1, imported=origin)}
    assert notes(rows).count("not trained here") == 1
    sentence = (
        "`general`: not trained here; parameters of Joey NMT from `my 'models' /a.npz`, sha256 `0123456789abcdef`."
    )
    assert sentence in notes(rows)


def test_rows_indistinguishable_from_the_best_are_marked():
    draw = np.random.default_rng(0)
    near = [record("location", seed, test=split(draw.random(200) < 0.89)) for seed in range(3)]
    lines = TABLE.build(rows() | {"location": near}).render("md").splitlines()
    assert [("†" in line, "**" in line) for line in lines[4:7]] == [(False, True), (False, False), (True, False)]


def test_the_smallest_detectable_difference_is_printed_where_a_value_is_better():
    name = "Smallest difference"
    exact = {
        score: [record(score, seed, test=split(first(right, 200))) for seed, right in enumerate(rights)]
        for score, rights in (("dot", (90, 0, 180)), ("concat", (0, 90, 160)))
    }
    assert "test exact match none. None: larger than the range of the metric." in notes(exact)
    assert name in notes(rows()) and name not in notes(rows(), ("parameters",))
    assert name not in notes({"dot": row("dot", 180)})
    assert name not in notes({"dot": row("dot", 180, seeds=2), "concat": row("concat", 20, seeds=2)})
    for result in (result for records in exact.values() for result in records):
        result["splits"]["test"]["metrics"]["entropy"] = 0.5
    assert name not in notes(exact, ("test/entropy",))


def test_a_single_row_is_not_the_best():
    assert "Bold" not in notes({"dot": row("dot", 180)})


def test_rows_with_too_few_seeds_are_not_compared():
    few = {"dot": row("dot", 180, seeds=2), "concat": row("concat", 20, seeds=2)}
    assert "Fewer than 3 seeds (every row)" in notes(few) and "Bold" not in notes(few)
    some = notes(few | {"location": row("location", 190)})
    assert "Fewer than 3 seeds (`dot`, `concat`)" in some and "Bold" in some
    assert "Seeds per row: `dot` 2, `concat` 2, `location` 3." in some
    best = notes(few | {"location": row("location", 100)})  # the best row has too few seeds
    assert "Bold" not in best


def test_diverged_and_missing_runs_are_named():
    runs = rows()
    runs["dot"][0] |= {"status": "diverged", "steps": 340, "splits": {}}
    built = TABLE.build(runs, missing={"dot": [3, 4], "concat": []})
    assert "`dot`, seed 0, diverged at step 340 and is left out." in built.notes
    assert "`dot` has no record of seeds 3, 4 yet." in built.notes
    nothing = TABLE.build({"dot": runs["dot"][:1]} | {"none": runs['none(feed="input")']}).rows["dot"]
    assert {cell.text for cell in nothing} == {"–"}


def test_mixed_and_dirty_records_are_reported():
    runs = rows()
    runs["dot"][0] |= {"commit": "fedcba9876543210", "dirty": True}
    runs["dot"][1] |= {"machine": "Apple M4"}
    built = TABLE.build(runs)
    assert "Mixed" not in "\n".join(TABLE.build(rows()).notes)
    below = "\n".join(built.notes)
    assert "commit `fedcba9876` (1), commit `1234567890` (5); AMD EPYC (cpu, threads: 1) (5), Apple M4" in below
    assert "Mixed commits and machines" in below and "Records from a checkout with uncommitted changes: 1." in below


def test_records_without_a_commit_are_labeled():
    runs = {"dot": row("dot", 180, commit=None, dirty=None)}
    assert "3 records: no commit;" in notes(runs) and "uncommitted" not in notes(runs)


def test_a_ceiling_below_one_is_printed():
    runs = {"dot": [record(seed=seed, test=split(first(180, 200), ceiling=0.9951)) for seed in range(3)]}
    assert "Ceiling on test: a system that sees only the source gets at most 99.51 % exact match." in notes(runs)
    assert "Ceiling" not in notes({"dot": [record(test=split(first(180, 200), ceiling=1.0))]})


def test_a_metric_without_items_has_an_interval_over_seeds():
    runs = {"dot": [record(seed=seed, test=split(first(50 + seed))) for seed in range(3)]}
    built = Table("model.attention.score", ("test/loss",)).build(runs)
    (cell,) = built.rows["dot"]
    low, high = cell.interval
    assert low < cell.value < high and "(loss: seeds only)" in built.notes[0]


def test_a_missing_metric_is_a_dash():
    runs = rows()
    for result in runs["dot"]:
        del result["splits"]["test"]["metrics"]["per"]
    assert TABLE.build(runs).rows["dot"][1].text == "–"


def test_grouping_lists_missing_seeds():
    dot, other = (override(Config(), {"model.attention.score": s}) for s in ("dot", "location"))
    result = record("dot", 0, test=split(first(9)))
    late = override(dot, {"seed": 1})
    assert TABLE.group([dot, late, other], {dot: result}) == (
        {"dot": [result], "location": []},
        {"dot": [1], "location": [0]},
    )


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("test/exat", "has no metric 'exat'.*did you mean exact"),
        ("parametres", "no column 'parametres'.*did you mean parameters"),
        ("exact", "no column 'exact'.*test/exact"),
    ],
)
def test_unknown_columns_are_rejected(column, message):
    with pytest.raises(ValueError, match=message):
        Table("model.attention.score", (column,))


def test_an_unknown_row_field_is_rejected():
    with pytest.raises(ValueError, match=r"the row of a table is 'model.score', which is no config field"):
        Table("model.score", ("seeds",))


def test_a_split_without_records_is_rejected():
    with pytest.raises(ValueError, match=r"no record has 'tset/exact'.*did you mean test/exact"):
        notes(rows(), ("tset/exact",))


def test_a_published_number_needs_a_column():
    with pytest.raises(ValueError, match="'Luong' is for column 'test/wer'"):
        TABLE.build(rows(), {("Luong", "test/wer"): (21.69, "recalled")})


def test_records_of_one_row_differ_only_in_the_seed():
    with pytest.raises(ValueError, match=r"row 'all' differ not only in the seed, but also in model.attention.score"):
        notes({"all": [*row("dot", 9, seeds=1), *row("concat", 9)]})
    with pytest.raises(ValueError, match="more than one record of seed 0"):
        notes({"dot": row("dot", 9, seeds=1) * 2})


def test_rows_with_different_test_items_are_an_error():
    shorter = [record("concat", seed, test=split(first(50))) for seed in range(3)]
    with pytest.raises(ValueError, match="'dot' has 200, 'concat' has 100"):
        notes({"dot": row("dot", 9), "concat": shorter})


def test_numbers_have_si_prefixes():
    assert [format_si(value) for value in (7, 999, 999.9, 38_200, 1.3e9, 99_960, 123_456, 2e12)] == [
        "7", "999", "1.00 k", "38.2 k", "1.30 G", "100 k", "123 k", "2.00 T",
    ]  # fmt: skip


def test_peak_memory_is_a_mean_in_bytes_and_a_footnote_names_rows_without_it():
    runs = {"dot": row("dot", 180), "general": row("general", 180)}
    for result, peak in zip(runs["dot"], (400e6, 424e6, None), strict=True):
        result["peak_memory"] = peak
    built = Table("model.attention.score", ("peak_memory",)).build(runs)
    assert [cells[0].text for cells in built.rows.values()] == ["412 MB", "–"]
    assert built.columns[0].header == "peak memory"
    assert "memory of the device; not recorded for `general`." in "\n".join(built.notes)
    assert "Peak memory" not in notes(runs)
    assert [format_bytes(value) for value in (999, 1500, 3.2e9)] == ["999 B", "1.50 kB", "3.20 GB"]


def test_escapes_equal_those_by_hand():
    assert escape(r"a_b{c}\$5% #1 & x^2 ~ [y]") == (
        r"a\_b\{c\}\textbackslash{}\$5\% \#1 \& x\textasciicircum{}2 \textasciitilde{} {[}y{]}"
    )
    assert markdown_escape("R&D costs &lt; $5\nand $6") == r"R&D costs \&lt; \$5 and \$6"
    assert markdown_escape("*a*_b_|c`<d>") == r"\*a\*\_b\_\|c\`\<d\>"
    assert markdown_code("a`b|c") == r"``a`b\|c``" and markdown_code("`a`") == "`` `a` ``"


@given(st.text("\\{}$&#%_^~<>|[]↑↓† \nab", max_size=20))
def test_no_special_character_stays_unescaped(text):
    printed = "|".join([r"[^\\{}$&#%_^~<>|\[\]\n]", *map(re.escape, SPECIAL.values())])
    assert re.fullmatch(f"({printed})*", escape(text))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1))
def test_any_label_survives_csv(label):
    runs = [record("dot", 0, test=split(first(3, 5)))]
    text = Table("model.attention.score", ("test/exact", "seeds")).build({label: runs}).render("csv")
    assert next(iter(list(csv.DictReader(io.StringIO(text, newline="")))))["row"] == csv_escape(label)


@pytest.mark.parametrize("label", ["=1+1", "@SUM(A1)", "+cmd", "-x", "\t=1", "\r=1", "\n=1", "＝1"])
def test_labels_are_no_spreadsheet_formulas(label):
    assert csv_escape(label) == f"'{label}"
    assert [csv_escape(number) for number in ("-1.5", "+3", "-1e-05")] == ["-1.5", "+3", "-1e-05"]


def test_a_row_may_have_several_tasks():
    def of(task, right, seed):
        result = record(seed=seed, test=split(first(right)))
        return result | {"config": result["config"] | {"data.task": task}}

    records = [of(task, right, seed) for task, right in (("dates", 90), ("reverse", 50)) for seed in range(3)]
    table = Table("model.attention.score", ("dates:test/exact", "reverse:test/exact", "reverse:seeds"))
    built = table.build({"dot": records}, missing={"concat": [0, 1, 0, 1]})
    assert "`concat` has no record of seeds 0, 1 yet." in built.notes
    assert "Seeds per row: 3." in Table("model.attention.score", ("dates:test/exact",)).build({"dot": records}).notes
    assert [cell.text for cell in built.rows["dot"]] == ["90.0", "50.0", "3"]
    assert built.columns[1].header == "reverse: test exact match, % ↑"


def test_a_macro_average_gives_every_task_the_same_weight():
    def of(task, right, items, seed):
        result = record(seed=seed, test=split([1] * right + [0] * (items - right)))
        return result | {"config": result["config"] | {"data.task": task}}

    records = [of(*task, seed) for task in (("dates", 90, 100), ("reverse", 5, 10)) for seed in range(3)]
    table = Table("model.attention.score", ("macro:test/exact", "seeds"))
    built = table.build({"dot": records, "concat": records[:3]})
    assert [cell.text for cell in built.rows["dot"]] == ["70.0", "3"]
    assert [cell.text for cell in built.rows["concat"]] == ["–", "3"]  # without one of the tasks
    assert built.columns[0].header == "mean over tasks: test exact match, % ↑"


def test_a_row_label_may_depend_on_the_whole_config():
    table = Table(lambda config: f"{config.model.attention.score} of {config.model.attention.heads}", ("test/exact",))
    config = unflatten(record(test=split(first(1)))["config"])
    assert table.group([config], {})[1] == {"dot of 1": [0]}


def test_a_metric_without_a_direction_marks_no_best_row():
    result = {score: [record(score, seed, test=split(first(50))) for seed in range(3)] for score in ("dot", "general")}
    for of_row in result.values():
        for one in of_row:
            one["splits"]["test"]["metrics"]["entropy"] = 0.5
    built = Table("model.attention.score", ("test/entropy",)).build(result)
    assert [cells[0].mark for cells in built.rows.values()] == ["", ""]
    assert built.columns[0].header == "test attention entropy"
