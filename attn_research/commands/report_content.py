"""The content of an experiment's report, from its records and, if they are here, the outputs of its runs."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from attn_research.commands.experiment_records import ExperimentRecords, read_claims
from attn_research.errors import UserError
from attn_research.metrics import METRICS
from attn_research.reports.axes import metric_column, slice_lines
from attn_research.reports.cells import Rows
from attn_research.reports.claims import judge
from attn_research.reports.columns import MetricColumn, column
from attn_research.reports.cost import COSTS, cost_figure, cost_table
from attn_research.reports.curves import draw_lines
from attn_research.reports.figures import attention_maps
from attn_research.reports.items import load_items
from attn_research.reports.panels import AXIS_CAPTION, Panel, axis_panel, dev_panels
from attn_research.reports.render import TableData
from attn_research.runs import records
from attn_research.runs.records import unpack_attribute
from attn_research.web.charts import Chart, cost_chart, line_chart
from attn_research.web.explorer import ExplorerRun, explorer_data
from attn_research.web.page import ChartGroup, ReportPage
from attn_research.web.tables import claims_view, configs_view, provenance, results_view

DIAGNOSTICS = ("entropy", "effective_support", "zero_share", "covered", "monotonicity", "jump", "aer", "aer_free")


class Plot(NamedTuple):
    """Panels of lines."""

    name: str  # of a file
    title: str
    panels: list[Panel]
    caption: str


def report_page(loaded: ExperimentRecords, runs: Path, items: int, scores: bool = False) -> ReportPage:
    """Returns the page of an experiment.

    Args:
      runs: the directory of the runs, which may be missing.
      items: the largest number of test items in the explorer.
      scores: whether to compute queries and scores from checkpoints, for the first seed of every row.

    Raises:
      UserError: no record is left, a claim is wrong, or outputs or checkpoints are damaged.
    """
    rows, _, _ = loaded.rows()
    declared = read_claims(loaded.experiment)
    explorer_runs = list(_explorer_runs(loaded, runs, items))
    if scores:
        explorer_runs = _add_traces(explorer_runs)
    data = explorer_data(explorer_runs)
    return ReportPage(
        name=loaded.experiment.name,
        title=loaded.experiment.table.title or loaded.experiment.name,
        labels=list(rows),
        results=results_view(loaded.table()),
        claims=claims_view(judge(declared, rows)) if declared else [],
        chart_groups=list(_chart_groups(loaded, list(rows))),
        explorer=data.text if explorer_runs else "",
        configs=configs_view(rows),
        provenance=provenance([record for own in rows.values() for record in own]),
        lacks=[*_lacks(loaded, runs, len(explorer_runs)), *data.left_out],
    )


def draw_figures(loaded: ExperimentRecords, runs: Path, folder: Path, suffix: str) -> list[Path]:
    """Draws every chart of the report, and the attention maps of the first test item, as files with embedded fonts.

    Args:
      runs: the directory of the runs, which may be missing.
      suffix: of the files, `.pdf` or `.svg`.
    """
    groups = (_training_plots(loaded), _slice_plots(loaded), _axis_plots(loaded), _diagnostic_plots(loaded))
    paths = [
        path
        for plots in groups
        for plot in plots
        for path in draw_lines(plot.panels, folder / plot.name, plot.caption, [suffix])
    ]
    for name, data in _cost_tables(loaded):
        paths += cost_figure(data, folder / f"cost_{name}", [suffix])
    first: dict[str, dict[str, ExplorerRun]] = {}
    for run in _explorer_runs(loaded, runs, items=1):
        first.setdefault(run.task, {}).setdefault(run.label, run)
    for number, by_label in enumerate(first.values()):
        items = {label: run.items[0] for label, run in by_label.items() if run.items}
        with contextlib.suppress(UserError):  # no output has a symbol
            paths += attention_maps(items, folder / f"maps_{number}", [suffix])
    return paths


def _lacks(loaded: ExperimentRecords, runs: Path, with_outputs: int) -> list[str]:
    """Returns a sentence on the runs whose outputs are not here, if there are any."""
    finished = sum(record["status"] == "finished" for record in loaded.by_config.values())
    if with_outputs == finished:
        return []
    which = "no run has" if not with_outputs else f"only {with_outputs} of {finished} runs have"
    return [f"Attention maps need the outputs of the runs: {which} them in {runs}. Everything else is from records."]


def _explorer_runs(loaded: ExperimentRecords, runs: Path, items: int) -> Iterator[ExplorerRun]:
    """Yields the finished runs whose outputs are in `runs` and belong to their records."""
    for config, record in loaded.by_config.items():
        directory = runs / record["id"]
        has_weights = (directory / "outputs" / "attention.npz").is_file()
        if record["status"] != "finished" or not has_weights or not records.holds(directory, record):
            continue
        label = loaded.experiment.table.label(config)
        yield ExplorerRun(str(config.data.task), label, config.seed, load_items(directory, items), directory)


def _add_traces(runs: list[ExplorerRun]) -> list[ExplorerRun]:
    """Returns the runs, the first seed of every row with traces. A progress bar shows on a terminal."""
    from rich.console import Console
    from rich.progress import track

    from attn_research.web.traces import compute_traces

    console = Console(stderr=True)
    first = {(run.task, run.label): run for run in sorted(runs, key=lambda run: -run.seed)}
    chosen = track(first.values(), "scores", console=console, transient=True, disable=not console.is_terminal)
    traces = {run.directory: compute_traces(run.directory, run.items) for run in chosen}
    return [run._replace(traces=traces.get(run.directory)) for run in runs]


def _chart_groups(loaded: ExperimentRecords, labels: list[str]) -> Iterator[ChartGroup]:
    """Yields the groups that have charts."""

    def draw(plots: Iterable[Plot]) -> list[Chart]:
        return [line_chart(plot.title, plot.panels, plot.caption, labels) for plot in plots]

    costs = [chart for _, data in _cost_tables(loaded) if (chart := cost_chart(data, labels))]
    groups = (
        ("training", "Training", draw(_training_plots(loaded))),
        ("slices", "Slices", draw(_slice_plots(loaded))),
        ("difficulty", "Difficulty", draw(_axis_plots(loaded))),
        ("cost", "Cost", costs),
        ("diagnostics", "Diagnostics", draw(_diagnostic_plots(loaded))),
    )
    for name, title, charts in groups:
        if charts:
            yield ChartGroup(name, title, charts)


def _training_plots(loaded: ExperimentRecords) -> Iterator[Plot]:
    """Yields the dev metrics of the table, first that which selects checkpoints, and the loss."""
    first = next(record for own in loaded.rows()[0].values() for record in own)
    of_table = [metric_column(name).metric.name for name in _metrics(loaded)]
    names = dict.fromkeys([first["config"]["train.select"], *of_table, "loss"])
    return _dev_plots(loaded, [name for name in names if name not in DIAGNOSTICS])


def _diagnostic_plots(loaded: ExperimentRecords) -> Iterator[Plot]:
    return _dev_plots(loaded, DIAGNOSTICS)


def _dev_plots(loaded: ExperimentRecords, metrics: Iterable[str]) -> Iterator[Plot]:
    """Yields every dev metric that records have, by training step."""
    rows = loaded.finished_rows()
    recorded = {name for own in rows.values() for record in own for name in record.get("dev") or {}}
    for metric in metrics:
        if metric in recorded and metric in METRICS:
            panels, caption = dev_panels(rows, metric)
            yield Plot(f"dev_{metric}", f"dev {METRICS[metric].label}", panels, caption)


def _slice_plots(loaded: ExperimentRecords) -> Iterator[Plot]:
    """Yields every metric of the table against every attribute of the items that is a number."""
    rows = loaded.finished_rows()
    for number, name in enumerate(_metrics(loaded)):
        one = metric_column(name)
        for attribute in _numeric_attributes(rows, one):
            words = attribute.replace("_", " ")
            with contextlib.suppress(UserError):  # the records of a task have no attributes
                panel = axis_panel("", words, one.header, slice_lines(name, rows, attribute))
                yield Plot(f"by_{attribute}_{number}", f"{one.title} by {words}", [panel], AXIS_CAPTION)


def _metrics(loaded: ExperimentRecords) -> list[str]:
    """Returns the metric columns of the table."""
    return [name for name in loaded.experiment.table.columns if isinstance(column(name), MetricColumn)]


def _numeric_attributes(rows: Rows, one: MetricColumn) -> list[str]:
    """Returns the attributes with several numbers, of the first record that has attributes of the column's split."""
    splits = [record["splits"][one.split] for own in rows.values() for record in own if one.split in record["splits"]]
    packed: Mapping[str, Any] = next((split["attributes"] for split in splits if split.get("attributes")), {})
    values = {name: unpack_attribute(value) for name, value in packed.items() if isinstance(value, str)}
    return [name for name, numbers in values.items() if len(set(numbers.tolist())) > 1]


def _axis_plots(loaded: ExperimentRecords) -> Iterator[Plot]:
    """Yields the curves that the experiment declares, as panels of one plot."""
    panels = [
        axis_panel(
            curve.title or curve.y,
            curve.x_title,
            metric_column(curve.y).header,
            curve.lines(loaded.by_config, loaded.experiment.table.label),
        )
        for curve in loaded.experiment.curves
    ]
    if panels:
        yield Plot("axes", "declared curves", panels, AXIS_CAPTION)


def _cost_tables(loaded: ExperimentRecords) -> Iterator[tuple[str, TableData]]:
    """Yields the table of a metric and a cost, for every cost in which rows differ."""
    for cost in COSTS:
        with contextlib.suppress(UserError):  # the table has no metric that has a better end
            table = cost_table(loaded.experiment.table, cost)
            data = loaded._replace(experiment=loaded.experiment._replace(table=table, published={})).table()
            if len({cells[1].value for cells in data.rows.values()} - {None}) > 1:
                yield cost, data
