"""The footnotes of a table on where its records come from: commits, machines, versions, settings, imported files."""

from collections import Counter
from collections.abc import Mapping, Sequence

from attn_research.reports.cells import Rows
from attn_research.runs import identity

MAX_NAMED = 6  # records that a note names one by one


def origin(records) -> list[str]:
    """Returns the commits, versions and machines of the records, and whether they are mixed."""
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
        *([f"Mixed {' and '.join(mixed)}: the records do not come from the same conditions."] if mixed else []),
        *([f"Records from a checkout with uncommitted changes: {dirty}."] if dirty else []),
    ]


def imported(rows: Rows) -> list[str]:
    """Returns the rows whose parameters were not trained here, with the system and the file of each."""
    return [
        f"`{label}`: not trained here; parameters of {source['system']} from `{_one_line(source['file'])}`, sha256 "
        f"`{source['sha256'][:16]}`."
        for label, records in rows.items()
        for source in [record["imported"] for record in records if record.get("imported")]
    ]


def _one_line(text: str) -> str:
    """Returns a text that can stand between backticks."""
    return " ".join(text.replace("`", "'").split())


def settings(rows: Rows) -> list[str]:
    """Returns versions and settings in which records differ from most others, with the rows and seeds.

    Records without this information are not compared.
    """
    titled = [
        (f"`{label}` seed {record['config']['seed']}", record["identity"]["versions"] | record["identity"]["settings"])
        for label, records in rows.items()
        for record in records
        if record.get("identity")
    ]
    differences: dict[tuple[str, ...], list[str]] = {}
    for name in dict.fromkeys(name for _, own in titled for name in own):
        values = [identity.format_setting(own.get(name)) for _, own in titled]
        (usual, _), *rarer = Counter(values).most_common()
        for value, _ in rarer:
            same = tuple(dict.fromkeys(title for (title, _), own in zip(titled, values, strict=True) if own == value))
            differences.setdefault(same, []).append(f"{name} {value} instead of {usual}")
    return [
        f"Different versions or settings: {list_first(titles)}, with {', '.join(phrases)}."
        for titles, phrases in differences.items()
    ]


def list_first(names: Sequence[str]) -> str:
    """Returns the first names of a list and the number of the others."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def _count(names) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _format_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(name if len(counts) == 1 else f"{name} ({count})" for name, count in counts.items())
