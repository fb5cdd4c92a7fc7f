"""What stands below a table, so that nobody needs to guess how its numbers were made. Code stands between backticks."""

from collections import Counter
from collections.abc import Mapping, Sequence

from attn_research.metrics.statistics import MIN_SEEDS, REPLICATES
from attn_research.reports.columns import Cell, Column, MetricColumn, Rows, filter_task, recorded_name
from attn_research.runs import identity

NAMED = 6  # records that a note names one by one
PUBLISHED = "Published numbers are those of full-size systems, with where they were seen; ours are not that setting."


def notes(
    rows: Rows, columns: Sequence[Column], cells: Mapping[str, Sequence[Cell]], missing: Mapping[str, Sequence[int]]
) -> list[str]:
    """The sentences below a table of `rows`, which have the diverged runs too."""
    finished = {label: [r for r in records if r["status"] == "finished"] for label, records in rows.items()}
    records = [record for of_row in rows.values() for record in of_row]
    return [
        *_interval(records, columns, cells),
        *_seeds(finished, columns),
        *_diverged(rows),
        *_missing(missing),
        *_ceilings(records, columns),
        *_signatures(records, columns),
        *_free(finished, columns),
        *_milliseconds(finished, columns),
        *_origin(records),
        *_settings(rows),
    ]


def _interval(records, columns: Sequence[Column], cells: Mapping[str, Sequence[Cell]]) -> list[str]:
    all_cells = [cell for row in cells.values() for cell in row]
    whole = [
        c.metric.label for c in columns if isinstance(c, MetricColumn) and not any(_by_item(r, c) for r in records)
    ]
    apart = f" (for {' and '.join(dict.fromkeys(whole))}, of seeds alone)" if whole else ""
    sentences = []
    if any(cell.interval for cell in all_cells):
        sentences.append(
            f"Mean over seeds [95 % interval]: hierarchical bootstrap, {REPLICATES:,} replicates of seeds and test "
            f"items, the same for all rows{apart}. The spread of few seeds is widened as in Student's t."
        )
    if any(cell.mark for cell in all_cells):
        tied = "†: cannot be told from it, since the 95 % interval of their paired difference holds 0."
        sentences.append(f"Bold: the best of its column. {tied}")
    return sentences


def _by_item(record, column: MetricColumn) -> bool:
    split = record["splits"].get(column.split, {"items": (), "metrics": ()})
    return recorded_name(column.metric.name, split) in split["items"]


def _seeds(finished: Rows, columns: Sequence[Column]) -> list[str]:
    tasks = {label: Counter(record["config"]["data.task"] for record in records) for label, records in finished.items()}
    counts = {label: min(seeds.values(), default=0) for label, seeds in tasks.items()}
    few = [f"`{label}`" for label, count in counts.items() if count < MIN_SEEDS]
    sentences = []
    if "seeds" not in [column.name for column in columns] and counts:
        each = ", ".join(f"`{label}` {count}" for label, count in counts.items())
        one = next(iter(counts.values()))
        sentences.append(f"Seeds a row: {one if len(set(counts.values())) == 1 else each}.")
    if few:
        rows_text = "every row" if len(few) == len(counts) else ", ".join(few)
        sentences.append(
            f"Too few seeds to tell ({rows_text}: fewer than {MIN_SEEDS}): such a row is not compared, "
            "and its interval, if it has one, is over test items alone."
        )
    return sentences


def _diverged(rows: Rows) -> list[str]:
    return [
        f"`{label}`, seed {record['config']['seed']}, diverged at step {record['steps']} and is left out."
        for label, records in rows.items()
        for record in records
        if record["status"] != "finished"
    ]


def _missing(missing: Mapping[str, Sequence[int]]) -> list[str]:
    distinct = {label: sorted(set(seeds)) for label, seeds in missing.items() if seeds}
    return [
        f"`{label}` has no record yet of seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}."
        for label, seeds in distinct.items()
    ]


def _ceilings(records, columns: Sequence[Column]) -> list[str]:
    ceilings = {}
    for split in dict.fromkeys(column.split for column in columns if isinstance(column, MetricColumn)):
        values = {record["splits"][split]["ceiling"] for record in records if split in record["splits"]}
        if below := sorted(value for value in values if value is not None and value < 1):
            ceilings[split] = " or ".join(f"{100 * value:.2f}" for value in below)
    return [
        f"Ceiling on {split.replace('_', ' ')}: no system that sees the source alone can get more than {value} % exact."
        for split, value in ceilings.items()
    ]


def _signatures(records, columns: Sequence[Column]) -> list[str]:
    """Versions and settings of what another program scored; records made before it did have none."""
    signatures = {}
    for column in columns:
        for record in records if isinstance(column, MetricColumn) else ():
            split = record["splits"].get(column.split, {})
            if column.metric.name in split.get("signatures", {}):
                signatures.setdefault(column.metric.label, set()).add(split["signatures"][column.metric.name])
    sentences = [
        f"{label} by sacrebleu: {', '.join(f'`{s}`' for s in sorted(of_label))}."
        for label, of_label in signatures.items()
    ]
    mixed = [label for label, of_label in signatures.items() if len(of_label) > 1]
    return sentences + [f"{label} has several signatures: its rows were not scored alike." for label in mixed]


def _free(finished: Rows, columns: Sequence[Column]) -> list[str]:
    """How many items the AER of free outputs is about, and how many records have no other."""
    sentences = []
    for column in columns:
        if not (isinstance(column, MetricColumn) and column.metric.name == "aer_free"):
            continue
        rows = filter_task(finished, column.task)
        shares = [float((row.parts[1] > 0).mean()) for row in column.comparison(rows).rows.values() if row.by_item]
        covered = f": {_range(shares)} of a row's items" if shares else ""
        name = column.header.removesuffix(" ↓").removesuffix(", %")
        sentences.append(
            f"{name} counts the items whose output is as long as its reference{covered}{_old(column, rows)}."
        )
    return sentences


def _old(column: MetricColumn, rows: Rows) -> str:
    """How many of the records were made before AER was measured along the references."""
    splits = [record["splits"].get(column.split) for records in rows.values() for record in records]
    names = [name for split in splits if split and (name := recorded_name("aer_free", split))]
    old = names.count("aer")
    if not old:
        return ""
    return f"; {'the' if old == len(names) else f'{old} of {len(names)}'} records have no AER along the references"


def _range(shares: Sequence[float]) -> str:
    ends = dict.fromkeys(f"{100 * share:.1f}" for share in (min(shares), max(shares)))
    return f"{' to '.join(ends)} %"


def _milliseconds(finished: Rows, columns: Sequence[Column]) -> list[str]:
    tasks = [column.task for column in columns if column.name.removeprefix(f"{column.task}:") == "ms"]
    if not tasks or all(record["idle"] for records in finished.values() for record in records):
        return []
    has_idle_runs = {
        label: any(record["idle"] for record in records) for label, records in filter_task(finished, tasks[0]).items()
    }
    without = ", ".join(f"`{label}`" for label, has_idle in has_idle_runs.items() if not has_idle)
    return [f"Milliseconds: of the runs that had the machine to themselves{without and f'; none of {without}'}."]


def _origin(records) -> list[str]:
    """Commits, versions and machines, and whether they are mixed."""
    if not records:
        return []
    commits = _count(f"commit `{r['commit'][:10]}`" if r["commit"] else "no commit" for r in records)
    dirty = sum(record["dirty"] is not False for record in records if record["commit"])
    machines = _count(f"{r['machine']} ({r['device']}, threads: {r['threads']})" for r in records)
    versions = _count(f"jax {r['versions']['jax']}, flax {r['versions']['flax']}" for r in records)
    mixed = [
        name
        for name, counts in (("commits", commits), ("machines", machines), ("versions", versions))
        if len(counts) > 1
    ]
    parts = "; ".join(_format_counts(counts) for counts in (commits, machines, versions))
    return [
        f"{len(records)} records: {parts}.",
        *([f"Mixed {' and '.join(mixed)}: the rows were not all made alike."] if mixed else []),
        *([f"{dirty} of the records were made with uncommitted changes."] if dirty else []),
    ]


def _settings(rows: Rows) -> list[str]:
    """Versions and settings in which the records differ, with the rows and seeds of the rarer values.

    Records that do not tell them are not compared.
    """
    phrases = [
        (f"`{label}` seed {record['config']['seed']}", record["identity"]["versions"] | record["identity"]["settings"])
        for label, records in rows.items()
        for record in records
        if record.get("identity")
    ]
    result = {}
    for name in dict.fromkeys(name for _, settings in phrases for name in settings):
        values = [identity.format_setting(settings.get(name)) for _, settings in phrases]
        (usual, _), *rarer = Counter(values).most_common()
        for value, _ in rarer:
            some = tuple(dict.fromkeys(which for (which, _), own in zip(phrases, values, strict=True) if own == value))
            result.setdefault(some, []).append(f"{name} {value} instead of {usual}")
    return [
        f"Made otherwise than the others: {_first(some)}, with {', '.join(message)}."
        for some, message in result.items()
    ]


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _count(names) -> dict[str, int]:
    counts = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _format_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(name if len(counts) == 1 else f"{name} ({count})" for name, count in counts.items())
