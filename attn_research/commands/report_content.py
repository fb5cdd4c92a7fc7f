"""The content of an experiment's report, from its records and, if they are here, the outputs of its runs."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from attn_research.commands.experiment_records import ExperimentRecords, read_claims
from attn_research.errors import UserError
from attn_research.metrics import METRICS
from attn_research.reports.axes import metric_column, slice_lines
from attn_research.reports.claims import judge
from attn_research.reports.columns import MetricColumn, column
from attn_research.reports.cost import COSTS, cost_table
from attn_research.reports.items import load_items
from attn_research.reports.panels import AXIS_CAPTION, axis_panel, dev_panels
from attn_research.runs import records
from attn_research.runs.records import unpack_attribute
from attn_research.web.charts import Chart, cost_chart, line_chart
from attn_research.web.explorer import ExplorerRun, explorer_data
from attn_research.web.page import ChartGroup, ReportPage
from attn_research.web.tables import claims_view, configs_view, provenance, results_view

DIAGNOSTICS = ("entropy", "effective_support", "zero_share", "covered", "monotonicity", "jump", "aer", "aer_free")


def report_page(loaded: ExperimentRecords, runs: Path, items: int) -> ReportPage:
    """Returns the page of an experiment.

    Args:
      runs: the directory of the runs, which may be missing.
      items: the largest number of test items in the explorer.

    Raises:
      UserError: no record is left, a claim is wrong, or outputs are damaged.
    """
    rows, _, _ = loaded.rows()
    declared = read_claims(loaded.experiment)
    explorer_runs = list(_explorer_runs(loaded, runs, items))
    data = explorer_data(explorer_runs)
    chosen = [record for own in rows.values() for record in own]
    return ReportPage(
        name=loaded.experiment.name,
        title=loaded.experiment.table.title or loaded.experiment.name,
        labels=list(rows),
        results=results_view(loaded.table()),
        claims=claims_view(judge(declared, rows)) if declared else [],
        chart_groups=list(_chart_groups(loaded, list(rows))),
        explorer=data.text if explorer_runs else "",
        configs=configs_view(rows),
        provenance=provenance(chosen),
        lacks=[*_lacks(loaded, runs, len(explorer_runs)), *data.left_out],
    )


def _lacks(loaded: ExperimentRecords, runs: Path, with_outputs: int) -> list[str]:
    """Returns sentences on the runs whose outputs are not here."""
    finished = sum(map(len, loaded.finished_rows().values()))
    if with_outputs == finished:
        return []
    which = "no run has" if not with_outputs else f"only {with_outputs} of {finished} runs have"
    return [f"Attention maps need the outputs of the runs: {which} them in {runs}. Everything else is from records."]


def _explorer_runs(loaded: ExperimentRecords, runs: Path, items: int) -> Iterator[ExplorerRun]:
    """Yields the finished runs whose outputs are in `runs` and belong to their records."""
    for config, record in loaded.by_config.items():
        directory = runs / record["id"]
        if record["status"] != "finished" or records.read(directory) != record:
            continue
        label = loaded.experiment.table.label(config)
        yield ExplorerRun(str(config.data.task), label, config.seed, load_items(directory, items))


def _chart_groups(loaded: ExperimentRecords, labels: list[str]) -> Iterator[ChartGroup]:
    """Yields the groups that have charts."""
    groups = (
        ("training", "Training", _dev_charts(loaded, labels, _learning_metrics(loaded))),
        ("slices", "Slices", _slice_charts(loaded, labels)),
        ("difficulty", "Difficulty", _axis_charts(loaded, labels)),
        ("cost", "Cost", _cost_charts(loaded, labels)),
        ("diagnostics", "Diagnostics", _dev_charts(loaded, labels, DIAGNOSTICS)),
    )
    for name, title, charts in groups:
        if drawn := list(charts):
            yield ChartGroup(name, title, drawn)


def _learning_metrics(loaded: ExperimentRecords) -> list[str]:
    """Returns the dev metrics of the table, that which selects checkpoints first, and the loss."""
    first = next(record for own in loaded.rows()[0].values() for record in own)
    shown = [one.metric.name for name in loaded.experiment.table.columns if isinstance(one := column(name), MetricColumn)]
    names = dict.fromkeys([first["config"]["train.select"], *shown, "loss"])
    return [name for name in names if name not in DIAGNOSTICS]


def _dev_charts(loaded: ExperimentRecords, labels: list[str], metrics) -> Iterator[Chart]:
    """Yields a chart of every dev metric that records have."""
    rows = loaded.finished_rows()
    recorded = {name for own in rows.values() for record in own for name in record.get("dev") or {}}
    for metric in metrics:
        if metric in recorded and metric in METRICS:
            panels, caption = dev_panels(rows, metric)
            yield line_chart(f"dev {METRICS[metric].label}", panels, caption, labels)


def _slice_charts(loaded: ExperimentRecords, labels: list[str]) -> Iterator[Chart]:
    """Yields a chart of every metric of the table against every attribute of the items that is a number."""
    rows = loaded.finished_rows()
    metrics = [name for name in loaded.experiment.table.columns if isinstance(column(name), MetricColumn)]
    for name in metrics:
        one = metric_column(name)
        for attribute in _numeric_attributes(rows, one):
            with contextlib.suppress(UserError):  # records of a task without attributes
                lines = slice_lines(name, rows, attribute)
                title, x_label = f"{one.title} by {attribute.replace('_', ' ')}", attribute.replace("_", " ")
                yield line_chart(title, [axis_panel("", x_label, one.header, lines)], AXIS_CAPTION, labels)


def _numeric_attributes(rows, one: MetricColumn) -> list[str]:
    """Returns the attributes with several numbers, of the first record that has attributes of the column's split."""
    splits = [record["splits"][one.split] for own in rows.values() for record in own if one.split in record["splits"]]
    packed = next((split["attributes"] for split in splits if split.get("attributes")), {})
    values = {name: unpack_attribute(value) for name, value in packed.items() if isinstance(value, str)}
    return [name for name, numbers in values.items() if len(set(numbers.tolist())) > 1]


def _axis_charts(loaded: ExperimentRecords, labels: list[str]) -> Iterator[Chart]:
    """Yields one chart with the curves that the experiment declares, as panels."""
    table, curves = loaded.experiment.table, loaded.experiment.curves
    panels = [
        axis_panel(
            curve.title or curve.y,
            curve.x_title,
            metric_column(curve.y).header,
            curve.lines(loaded.by_config, table.label),
        )
        for curve in curves
    ]
    if panels:
        yield line_chart("declared curves", panels, AXIS_CAPTION, labels)


def _cost_charts(loaded: ExperimentRecords, labels: list[str]) -> Iterator[Chart]:
    """Yields a chart for every cost in which rows differ."""
    for cost in COSTS:
        with contextlib.suppress(UserError):  # the table has no metric that has a better end
            table = cost_table(loaded.experiment.table, cost)
            data = loaded._replace(experiment=loaded.experiment._replace(table=table, published={})).table()
            if chart := cost_chart(data, labels):
                yield chart
