"""The footnotes of a table: how its numbers were computed. Code is between backticks."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from attn_research.metrics import Comparison
from attn_research.metrics.statistics import MIN_SEEDS, REPLICATES
from attn_research.reports.cells import Cell, Rows, filter_task
from attn_research.reports.columns import Column, MetricColumn, recorded_name
from attn_research.reports.dev_curves import StepsToColumn
from attn_research.reports.origin_notes import imported, list_first, origin, settings

DETECTABLE = (
    "Smallest difference from the best row that these seeds could detect with 80 % power, estimated for rows with the "
    "median variance over seeds"
)
PUBLISHED = "Published numbers are of full-size systems, not of our setting. Their source is in parentheses."


def notes(
    rows: Rows,
    columns: Sequence[Column],
    cells: Mapping[str, Sequence[Cell]],
    missing: Mapping[str, Sequence[int]],
    comparisons: Mapping[str, Comparison],
) -> list[str]:
    """Returns the footnotes of a table.

    Args:
      rows: the records by row label, including diverged runs.
      columns: the columns of the table.
      cells: the cells of each row, in the order of `columns`.
      missing: for each row, the seeds that have no record.
      comparisons: the comparison of the rows, by the name of its metric column.
    """
    finished = {label: [r for r in records if r["status"] == "finished"] for label, records in rows.items()}
    records = [record for row_records in rows.values() for record in row_records]
    return [
        *_interval(records, columns, cells),
        *_detectable(columns, comparisons),
        *_seeds(finished, columns),
        *list_diverged(rows),
        *list_missing(missing),
        *_ceilings(records, columns),
        *_signatures(records, columns),
        *_sliced(finished, columns),
        *_free(finished, columns, comparisons),
        *_steps_to(finished, columns),
        *_milliseconds(finished, columns),
        *_peak_memory(finished, columns),
        *origin([record for record in records if "evaluation" not in record]),  # of the rows of runs
        *imported(rows),
        *settings(rows),
    ]


def _interval(records, columns: Sequence[Column], cells: Mapping[str, Sequence[Cell]]) -> list[str]:
    all_cells = [cell for row in cells.values() for cell in row]
    without_items = [
        c.metric.label for c in columns if isinstance(c, MetricColumn) and not any(_by_item(r, c) for r in records)
    ]
    exception = f" ({' and '.join(dict.fromkeys(without_items))}: seeds only)" if without_items else ""
    sentences = []
    if any(cell.interval for cell in all_cells):
        sentences.append(
            f"Mean over seeds [95 % bootstrap confidence interval over seeds and test items{exception}]: "
            f"{REPLICATES:,} replicates, the same for all rows. "
            "With few seeds it is widened as in Student's t interval."
        )
    if any(cell.mark for cell in all_cells):
        sentences.append(
            "Bold: the best row of its column. †: not distinguishable from it: p is at least 0.05 in Welch's t-test "
            "over seeds and test items, after Holm's correction for all pairs of rows."
        )
    return sentences


def _detectable(columns: Sequence[Column], comparisons: Mapping[str, Comparison]) -> list[str]:
    """The smallest detectable difference of every metric column."""
    metric_columns = [(c, comparisons[c.name]) for c in columns if isinstance(c, MetricColumn)]
    texts = [(c.title, c.detectable(comparison, c.digits(comparison))) for c, comparison in metric_columns]
    values = [f"{title} {text}" for title, text in texts if text]
    beyond = " None: larger than the range of the metric." if any(text == "none" for _, text in texts) else ""
    return [f"{DETECTABLE}: {', '.join(values)}.{beyond}"] if values else []


def _by_item(record, column: MetricColumn) -> bool:
    split = record["splits"].get(column.split, {"items": (), "metrics": ()})
    return recorded_name(column.metric.name, split) in split["items"]


def _seeds(finished: Rows, columns: Sequence[Column]) -> list[str]:
    tasks = {label: Counter(record["config"]["data.task"] for record in records) for label, records in finished.items()}
    counts = {label: min(seeds.values(), default=0) for label, seeds in tasks.items()}
    few = [f"`{label}`" for label, count in counts.items() if count < MIN_SEEDS]
    sentences = []
    if "seeds" not in [column.name for column in columns] and counts:
        by_row = ", ".join(f"`{label}` {count}" for label, count in counts.items())
        first = next(iter(counts.values()))
        sentences.append(f"Seeds per row: {first if len(set(counts.values())) == 1 else by_row}.")
    if few:
        rows_text = "every row" if len(few) == len(counts) else ", ".join(few)
        sentences.append(
            f"Fewer than {MIN_SEEDS} seeds ({rows_text}): no comparison with other rows, and an interval over test "
            "items only."
        )
    return sentences


def list_diverged(rows: Rows) -> list[str]:
    """Returns a sentence for each diverged run."""
    return [
        f"`{label}`, seed {record['config']['seed']}, diverged at step {record['steps']} and is left out."
        for label, records in rows.items()
        for record in records
        if record["status"] != "finished"
    ]


def list_missing(missing: Mapping[str, Sequence[int]]) -> list[str]:
    """Returns a sentence for each row without a record of some seeds."""
    distinct = {label: sorted(set(seeds)) for label, seeds in missing.items() if seeds}
    return [
        f"`{label}` has no record of seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))} yet."
        for label, seeds in distinct.items()
    ]


def _ceilings(records, columns: Sequence[Column]) -> list[str]:
    ceilings = {}
    for split in dict.fromkeys(column.split for column in columns if isinstance(column, MetricColumn)):
        values = {record["splits"][split]["ceiling"] for record in records if split in record["splits"]}
        if below := sorted(value for value in values if value is not None and value < 1):
            ceilings[split] = " or ".join(f"{100 * value:.2f}" for value in below)
    return [
        f"Ceiling on {split.replace('_', ' ')}: a system that sees only the source gets at most {value} % exact match."
        for split, value in ceilings.items()
    ]


def _signatures(records, columns: Sequence[Column]) -> list[str]:
    """Sacrebleu's signatures. Records older than sacrebleu's scores have none."""
    signatures: dict[str, set[str]] = {}
    for column in [column for column in columns if isinstance(column, MetricColumn)]:
        for record in records:
            split = record["splits"].get(column.split, {})
            if column.metric.name in split.get("signatures", {}):
                signatures.setdefault(column.metric.label, set()).add(split["signatures"][column.metric.name])
    sentences = [
        f"{label} by sacrebleu: {', '.join(f'`{s}`' for s in sorted(of_metric))}."
        for label, of_metric in signatures.items()
    ]
    mixed = [label for label, of_metric in signatures.items() if len(of_metric) > 1]
    return sentences + [
        f"{label} has several signatures: its rows were scored with different settings." for label in mixed
    ]


def _free(finished: Rows, columns: Sequence[Column], comparisons: Mapping[str, Comparison]) -> list[str]:
    """The share of items that the AER of free outputs covers, and the records without an AER under teacher forcing."""
    sentences = []
    for column in columns:
        if not (isinstance(column, MetricColumn) and column.metric.name == "aer_free"):
            continue
        compared = comparisons[column.name].rows.values()
        shares = [float((row.parts[1] > 0).mean()) for row in compared if row.by_item]
        covered = f" ({_range(shares)} of a row's items)" if shares else ""
        old = _count_old(column, filter_task(finished, column.task))
        sentences.append(f"{column.title} covers the items whose output is as long as its reference{covered}{old}.")
    return sentences


def _sliced(finished: Rows, columns: Sequence[Column]) -> list[str]:
    """How many records are left out of columns of slices, since they do not know the attributes of their items."""
    without = {
        record["id"]
        for column in columns
        if isinstance(column, MetricColumn) and column.conditions
        for records in filter_task(finished, column.task).values()
        for record in records
        for split in [record["splits"].get(column.split)]
        if split and (name := recorded_name(column.metric.name, split)) and not column.can_slice(name, split)
    }
    if not without:
        return []
    return [f"{len(without)} records lack the attributes or the metric of every item and are left out of slices."]


def _count_old(column: MetricColumn, rows: Rows) -> str:
    """The number of records from before AER was measured under teacher forcing."""
    splits = [record["splits"].get(column.split) for records in rows.values() for record in records]
    names = [name for split in splits if split and (name := recorded_name("aer_free", split))]
    old = names.count("aer")
    if not old:
        return ""
    return f"; {'the' if old == len(names) else f'{old} of {len(names)}'} records have no AER under teacher forcing"


def _range(shares: Sequence[float]) -> str:
    ends = dict.fromkeys(f"{100 * share:.1f}" for share in (min(shares), max(shares)))
    return f"{' to '.join(ends)} %"


def _steps_to(finished: Rows, columns: Sequence[Column]) -> list[str]:
    """The resolution of every column of steps, the seeds that do not reach its target, and records without a curve."""
    return [
        sentence
        for column in columns
        if isinstance(column, StepsToColumn)
        for sentence in _steps_to_column(column, filter_task(finished, column.task))
    ]


def _steps_to_column(column: StepsToColumn, rows: Rows) -> list[str]:
    firsts = {label: [column.first_step(record) for record in records] for label, records in rows.items()}
    without = [
        f"`{label}` seed {record['config']['seed']}"
        for label, records in rows.items()
        for record, first in zip(records, firsts[label], strict=True)
        if first is None
    ]
    no_curve = f"{column.header}: no dev curve of {list_first(without)}."
    if all(first is None for row in firsts.values() for first in row):
        return [f"{column.header}: no record has a dev curve."] if without else []
    not_reached = [f"`{label}` {row.count(math.inf)} of {len(row)}" for label, row in firsts.items() if math.inf in row]
    intervals = sorted({record["config"]["train.evaluate_every"] for records in rows.values() for record in records})
    sentence = (
        f"{column.header}: the first evaluation on dev, which is every {' or '.join(map(str, intervals))} steps, that "
        "reaches it; median over seeds."
    )
    if not_reached:
        sentence += f" Seeds that do not reach it count as larger than every step: {', '.join(not_reached)}."
    return [sentence, *([no_curve] if without else [])]


def _milliseconds(finished: Rows, columns: Sequence[Column]) -> list[str]:
    tasks = _tasks_of("ms", columns)
    if not tasks or all(record["idle"] for records in finished.values() for record in records):
        return []
    without = _rows_without(finished, tasks[0], lambda record: record["idle"])
    return [f"Milliseconds: of runs on an otherwise idle machine{without and f'; no such run of {without}'}."]


def _peak_memory(finished: Rows, columns: Sequence[Column]) -> list[str]:
    tasks = _tasks_of("peak_memory", columns)
    if not tasks:
        return []
    without = _rows_without(finished, tasks[0], lambda record: record.get("peak_memory") is not None)
    missing = without and f"; not recorded for {without}"
    return [
        "Peak memory: mean over seeds; on the CPU the peak resident memory of the run's process, elsewhere the peak "
        f"memory of the device{missing}."
    ]


def _tasks_of(name: str, columns: Sequence[Column]) -> list[str]:
    """Returns the task of each column of this name, without a prefix; "" for all tasks."""
    return [column.task for column in columns if column.name.removeprefix(f"{column.task}:") == name]


def _rows_without(finished: Rows, task: str, has: Callable[[Mapping], bool]) -> str:
    """Returns the labels of the rows without a record of the task for which `has` is true."""
    rows = filter_task(finished, task)
    return ", ".join(f"`{label}`" for label, records in rows.items() if not any(map(has, records)))
