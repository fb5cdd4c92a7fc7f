"""Renders a page as one HTML file that needs no network: styles, scripts and data are inside.

The scripts are JavaScript modules. An import map gives each its address: here a `data:` URL, on a server a path. The
content security policy allows only scripts with the page's nonce, no evaluation of text, and no request. The charts are
Vega-Lite's, whose expressions are interpreted and not compiled.
"""

import base64
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from attn_research.web.charts import Chart
from attn_research.web.tables import ClaimView, ConfigsView, ResultsView

MODULES = "attn-research"  # prefix of the names in import statements


@dataclass(frozen=True)
class ChartGroup:
    """Charts of which the page shows one at a time."""

    name: str  # an identifier
    title: str
    charts: Sequence[Chart]


@dataclass(frozen=True)
class ReportPage:
    """The content of a report.

    Attributes:
      labels: of all rows, whose order sets their colors.
      explorer: the packed data of the explorer; "": there is none.
      lacks: sentences on what the page does not have.
    """

    name: str
    title: str
    labels: Sequence[str]
    results: ResultsView
    claims: Sequence[ClaimView]
    chart_groups: Sequence[ChartGroup]
    explorer: str
    configs: ConfigsView
    provenance: Mapping[str, str]
    lacks: Sequence[str]

    def render(self) -> str:
        """Returns the HTML. Equal pages give equal texts."""
        groups = {group.name: [chart._asdict() for chart in group.charts] for group in self.chart_groups}
        data = {"labels": list(self.labels), "charts": groups}
        digest = hashlib.sha256(json.dumps([self.name, data, self.explorer], sort_keys=True).encode()).digest()
        return (
            environment()
            .get_template("report.html")
            .render(
                page=self,
                data=data,
                nonce=base64.b64encode(digest[:18]).decode(),
                style=Markup(_static("report.css")),
                import_map=_import_map(),
                vega=Markup(_vega()),
            )
        )


@functools.cache
def environment() -> Environment:
    """Returns the templates' environment, which escapes every value."""
    return Environment(
        loader=PackageLoader("attn_research.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _static(name: str) -> str:
    return files("attn_research.web").joinpath("static", name).read_text(encoding="utf-8")


def _import_map() -> dict[str, Any]:
    """Returns the import map of all modules as `data:` URLs."""
    folder = files("attn_research.web").joinpath("static")
    names = sorted(path.name for path in folder.iterdir() if path.name.endswith(".js"))
    return {"imports": {f"{MODULES}/{name}": _data_url(_static(name)) for name in names}}


def _data_url(script: str) -> str:
    return f"data:text/javascript;base64,{base64.b64encode(script.encode()).decode()}"


@functools.cache
def _vega() -> str:
    """Returns Vega, Vega-Lite and Vega-Embed as one script, which may stand in HTML."""
    import vl_convert

    bundle = vl_convert.javascript_bundle(None)  # type: ignore[arg-type]  # its stub requires a snippet
    return bundle.replace("</script", r"<\/script").replace("<!--", r"<\!--")
