"""Report pages with labels, symbols and numbers that are hostile or from many scripts."""

import numpy as np
from known_records import first, record, split

from attn_research.data.vocab import Vocabulary
from attn_research.decoding.trace import Trace
from attn_research.reports.claims import Claim, better, judge
from attn_research.reports.items import Item
from attn_research.reports.panels import Line, Panel
from attn_research.reports.tables import Table
from attn_research.web.charts import cost_chart, line_chart
from attn_research.web.explorer import ExplorerRun, explorer_data
from attn_research.web.page import ChartGroup, ReportPage
from attn_research.web.tables import claims_view, configs_view, provenance, results_view
from attn_research.web.traces import describe_traces

HOSTILE = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "</script><script>window.hacked = 1</script>",
    "{{ 7 * 7 }}",
    '=HYPERLINK("https://example.org")',
    r"\input{/etc/passwd}",
)
PLAIN = ("dot", "general")
LABELS = (*PLAIN, *HOSTILE, 'none(feed="input")')
SOURCES = (
    ["<ko>", "2", "0", "1", "4", "년", " ", "4", "월"],
    ["في", "١٤", "أبريل", "٢٠١٤"],
    ["วันที่", "๑๔", "เมษายน", "👩‍👩‍👧", "🇰🇷"],
    list(HOSTILE),
    [f"s{i}" for i in range(60)],
)
VOCABULARY = Vocabulary(("0", "1", "2", "-", *HOSTILE))
GOLD = [(1, 0), (2, 1)]
TABLE = Table("model.attention.score", ("test/exact", "parameters"), title="A <b>title</b> & more")


def item(number, label):
    """Returns an item whose output is right in the rows `dot` and `general`."""
    source, reference = SOURCES[number], ["2", "0", "-", HOSTILE[number % len(HOSTILE)]]
    output = reference if label in PLAIN else ["2", "1", HOSTILE[0]]
    weights = np.random.default_rng([number, LABELS.index(label)]).random((len(output) + 1, len(source))) ** 4
    weights /= weights.sum(1, keepdims=True)
    return Item(source, output, weights[:, :0] if label.startswith("none") else weights, [reference], GOLD)


def trace(one, heads):
    """Returns a trace of an item whose heads have softmax weights of random scores."""
    steps, size = one.weights.shape
    random = np.random.default_rng(heads)
    scores = random.normal(0, 2, (steps, heads, size))
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    log_p = np.log(random.dirichlet(np.ones(4 + len(VOCABULARY.symbols)), steps))
    return Trace(random.normal(size=(steps, 60)), scores, weights, log_p)


def traces(items, label):
    """Returns the traces of the rows that have them: `dot` with one head, `general` with two."""
    heads = {"dot": 1, "general": 2}.get(label)
    return heads and describe_traces([trace(one, heads) for one in items], items, VOCABULARY)


def explorer_runs(seeds=(0, 1)):
    items = {label: [item(number, label) for number in range(len(SOURCES))] for label in LABELS}
    return [
        ExplorerRun("dates", label, seed, items[label], traces=None if seed else traces(items[label], label))
        for seed in seeds
        for label in LABELS
    ]


def rows():
    """Returns records of all rows, each with its own number of parameters."""
    return {
        label: [
            record("dot", seed, test=split(first(90 - 9 * i + seed)), parameters=10_000 + 1000 * i) for seed in range(3)
        ]
        for i, label in enumerate(LABELS)
    }


def make_page(lacks=(), explorer=True):
    """Returns a page with all parts."""
    table = TABLE.build(rows())
    claim = Claim(HOSTILE[1], better("dot", "general", "test/exact"), HOSTILE[2])
    lines = [
        Line(label, [1, 2, 3], [i, i + 1, float("nan")], [i - 1] * 3, [i + 2] * 3) for i, label in enumerate(LABELS)
    ]
    panels = [Panel(HOSTILE[0], HOSTILE[1], "dev exact match, %", lines)]
    charts = [line_chart(title, panels, HOSTILE[2], LABELS) for title in ("dev exact match", HOSTILE[0])]
    cost = cost_chart(table, LABELS)
    data = explorer_data(explorer_runs())
    chosen = [one for own in rows().values() for one in own]
    return ReportPage(
        name=HOSTILE[0],
        title=TABLE.title,
        labels=LABELS,
        results=results_view(table),
        claims=claims_view(judge([claim], rows())),
        chart_groups=[ChartGroup("training", "Training", charts), ChartGroup("cost", "Cost", [cost])],
        explorer=data.text if explorer else "",
        configs=configs_view(rows()),
        provenance=provenance(chosen),
        lacks=list(lacks),
    )
