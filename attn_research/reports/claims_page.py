"""Claims with their verdicts and evidence as Markdown."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from attn_research.reports.cells import Rows
from attn_research.reports.claims import Evidence, JudgedClaim, Verdict
from attn_research.reports.notes import list_diverged, list_missing
from attn_research.reports.pairs import format_difference, format_p
from attn_research.reports.render import markdown_code, markdown_escape

DIGITS = 2
HEADER = "| claim | verdict | evidence | source |\n| --- | --- | --- | --- |"
INTRODUCTION = """# Claims

`attn-research claims --save` writes this page from the committed records of the experiments that have `CLAIMS`. No
verdict is typed. A claim may consist of several comparisons, one a line.

- **holds**: every comparison has the claimed sign and is significant. **contradicted**: one is significant with the
  opposite sign. **undecided**: neither, which is not evidence that there is no difference.
- Evidence: the difference of the means over seeds, first row minus second row, or the mean of a row, with its 95 %
  bootstrap confidence interval over seeds and test items.
- p: Welch's t-test over seeds and test items, after Holm's correction for all comparisons of the claims of the
  experiment. Significant: p < 0.05. The chance of any false verdict in an experiment is at most 5 %.
  Against a number, the variance over items of a share is at least that of the number (Wilson 1927). So p may be above
  0.05 although the interval excludes the number.
- Detectable: the smallest true difference that these seeds find with 80 % power at the level of Holm's first step.
"""


def claims_table(
    judged: Sequence[JudgedClaim], rows: Rows, missing: Mapping[str, Sequence[int]], left_out: Sequence[str] = ()
) -> str:
    """Returns a Markdown table of the claims of one experiment, and notes.

    Args:
      judged: the claims with their verdicts.
      rows: the records by row label, including diverged runs.
      missing: for each row, the seeds that have no record.
      left_out: sentences about records that are not in `rows`.
    """
    lines = [line for claim in judged for line in _lines(claim)]
    comparisons = sum(len(claim.evidence) for claim in judged)
    corrected = f"p is corrected for {comparisons} comparison{'s' * (comparisons != 1)}."
    notes = [corrected, *list_diverged(rows), *list_missing(missing), *left_out]
    return "\n".join([HEADER, *lines, "", *(f"- {note}" for note in notes), ""])


def _lines(judged: JudgedClaim) -> list[str]:
    """Returns a line for every comparison of a claim; only the first one has text, verdict and source."""
    claim, verdict = judged.claim, judged.verdict
    first = [markdown_escape(claim.text), _bold(verdict), markdown_escape(claim.source)]
    return [
        f"| {text} | {verdict_text} | {_evidence(one)} | {source} |"
        for one, (text, verdict_text, source) in zip(
            judged.evidence, [first, *[["", "", ""]] * (len(judged.evidence) - 1)], strict=True
        )
    ]


def _bold(verdict: Verdict) -> str:
    return str(verdict) if verdict is Verdict.UNDECIDED else f"**{verdict}**"


def _evidence(one: Evidence) -> str:
    text = describe_evidence(one)
    reference = markdown_code(text.reference) if isinstance(one.reference, str) else text.reference
    return f"{markdown_escape(text.column)}, {markdown_code(one.row)} {text.relation} {reference}: {text.finding}"


class EvidenceText(NamedTuple):
    """One comparison of a claim as plain text, in the order of a sentence."""

    column: str
    row: str
    relation: str  # "minus" another row, or "against" a number
    reference: str
    finding: str  # the number with its interval, p and the detectable difference, or why there is no test


def describe_evidence(one: Evidence) -> EvidenceText:
    """Returns the texts of a comparison, without markup."""
    column = f"{one.column.title}{', %' if one.column.metric.percent else ''}"
    if isinstance(one.reference, str):
        return EvidenceText(column, one.row, "minus", one.reference, _finding(one))
    return EvidenceText(column, one.row, "against", one.column.format_value(one.reference, DIGITS), _finding(one))


def _finding(one: Evidence) -> str:
    if one.test is None:
        return one.why_untested
    smallest = "" if one.detectable is None else f", detectable {one.column.format_value(one.detectable, DIGITS)}"
    return f"{_value(one)}, p {_equals(format_p(one.test))}{smallest}"


def _value(one: Evidence) -> str:
    """Formats the difference, or the mean if the reference is a number, with its interval."""
    if isinstance(one.reference, str) and one.test is not None:
        return format_difference(one.column, one.test, one.comparison.difference(one.row, one.reference))
    interval = one.comparison.interval(one.row)
    text = one.column.format_value(one.comparison.means[one.row], DIGITS)
    return text if interval is None else f"{text} [{', '.join(one.column.format_value(x, DIGITS) for x in interval)}]"


def _equals(p: str) -> str:
    return p if p.startswith("<") else f"= {p}"
