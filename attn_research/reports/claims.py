"""Claims of an experiment about its rows, and their verdicts, which are computed from records.

    CLAIMS = (
        Claim("concat beats dot", better("concat", "dot", "test/exact")),
        Claim("location gets less than 98 % right", below("location", "test/exact", 0.98)),
    )

A claim consists of comparisons: of two rows, or of a row with a number. It holds if every comparison has the claimed
sign and is significant. It is contradicted if one is significant with the opposite sign. Otherwise it is undecided.

A comparison is significant if the corrected p of Welch's t-test over seeds and test items is below 0.05. Holm's
correction is for all comparisons of all claims of the experiment. A comparison that cannot be tested counts as p = 1.
So the chance of any false verdict in an experiment is at most 5 %.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, cast

from attn_research.errors import UserError, nearest
from attn_research.metrics.difference import DifferenceTest, holm
from attn_research.metrics.statistics import LEVEL, Comparison, has_enough_seeds
from attn_research.reports.axes import metric_column
from attn_research.reports.cells import Rows, filter_task
from attn_research.reports.columns import MetricColumn, column_of_records
from attn_research.reports.tables import check_alike


class Expectation(NamedTuple):
    """One expected difference."""

    row: str
    reference: str | float | None  # another row, or a number; None: every other row
    higher: bool  # whether the row's metric is expected to be higher


@dataclass(frozen=True)
class Check:
    """What a claim says about one column. `better`, `ordered`, `below`, `above` and `best` make one."""

    column: str
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True)
class Claim:
    """A sentence about the rows of an experiment, and the check that decides it.

    Attributes:
      text: the sentence.
      check: one check, or several, all of which must hold.
      source: where the claim comes from, as in "Luong et al. 2015, Table 4, SEEN"; "": from the experiment.

    Raises:
      UserError: there is no check, or one that no function of this module made.
    """

    text: str
    check: Check | tuple[Check, ...]
    source: str = ""

    def __post_init__(self):
        checks = self.checks
        if not checks or not all(isinstance(check, Check) for check in checks):
            raise UserError(f"the check of claim {self.text!r} is {self.check!r}, but must be one such as better(...)")

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks."""
        return self.check if isinstance(self.check, tuple) else (self.check,)

    @property
    def columns(self) -> list[str]:
        """The columns of the checks."""
        return list(dict.fromkeys(check.column for check in self.checks))


def better(row: str, other: str, column: str) -> Check:
    """Returns the check that `row` is better than `other`. Whether higher is better is up to the metric.

    Args:
      row: a label of the experiment's table.
      other: another one.
      column: of a metric, also of a task or on a slice, as in `recall:test[length>20]/exact`.

    Raises:
      UserError: the column is not that of a metric, or neither higher nor lower is better.
    """
    return ordered((row, other), column)


def ordered(rows: Sequence[str], column: str) -> Check:
    """Returns the check that each of `rows` is better than the next one. Other arguments and errors as in `better`.

    Raises:
      UserError: there are fewer than two rows, or a row occurs twice.
    """
    if isinstance(rows, str) or len(rows) < 2 or len(set(rows)) < len(rows):
        raise UserError(f"the rows of a claim are {rows!r}, but must be two or more different ones")
    higher = _higher_is_better(column)
    return Check(column, tuple(Expectation(a, b, higher) for a, b in itertools.pairwise(rows)))


def best(row: str, column: str) -> Check:
    """Returns the check that `row` is better than every other row that has the metric. Errors as in `better`."""
    return Check(column, (Expectation(row, None, _higher_is_better(column)),))


def below(row: str, column: str, number: float) -> Check:
    """Returns the check that the mean of `row` is below a number.

    Args:
      row: a label of the experiment's table.
      column: as in `better`. Any metric will do.
      number: a share and not percent, as in `steps_to:dev/exact>=0.9`.

    Raises:
      UserError: the column is not that of a metric, or the metric cannot have this value.
    """
    return _against(row, column, number, higher=False)


def above(row: str, column: str, number: float) -> Check:
    """Returns the check that the mean of `row` is above a number. Arguments and errors are as in `below`."""
    return _against(row, column, number, higher=True)


def _against(row: str, column: str, number: float, higher: bool) -> Check:
    metric = metric_column(column).metric
    if not metric.minimum <= number <= metric.maximum:
        unit = ", a share and not percent" if metric.percent else ""
        raise UserError(
            f"a claim compares {column} with {number}, but it is between {metric.minimum:g} and "
            f"{metric.maximum:g}{unit}"
        )
    return Check(column, (Expectation(row, float(number), higher),))


def _higher_is_better(name: str) -> bool:
    metric = metric_column(name).metric
    if metric.lower_is_better is None:
        raise UserError(f"no value of {name} is better than another; a claim can say below(...) or above(...)")
    return not metric.lower_is_better


class Verdict(StrEnum):
    """What the records say of a claim."""

    HOLDS = "holds"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"


class Evidence(NamedTuple):
    """One comparison of a claim."""

    column: MetricColumn
    comparison: Comparison  # of all rows in this column
    row: str
    reference: str | float  # another row, or a number
    higher: bool  # whether the row's metric is expected to be higher
    test: DifferenceTest | None = None  # of the row minus the reference; None if it cannot be tested
    detectable: float | None = None  # the smallest difference found with 80 % power at the level of Holm's first step

    @property
    def verdict(self) -> Verdict:
        """What this comparison says."""
        if self.test is None or self.test.corrected >= 1 - LEVEL:
            return Verdict.UNDECIDED
        return Verdict.HOLDS if (self.test.mean > 0) == self.higher else Verdict.CONTRADICTED

    @property
    def why_untested(self) -> str:
        """Why there is no test; "" if there is one."""
        if self.test is not None:
            return ""
        rows = [side for side in (self.row, self.reference) if isinstance(side, str)]
        if missing := [row for row in rows if row not in self.comparison.rows]:
            return f"no finished record of {_quote(missing)} has it"
        if few := [row for row in rows if not has_enough_seeds(self.comparison.rows[row])]:
            return f"too few seeds of {_quote(few)}"
        return "undefined on some draws of the test items"


class JudgedClaim(NamedTuple):
    """A claim with its verdict and the comparisons that decide it."""

    claim: Claim
    evidence: list[Evidence]

    @property
    def verdict(self) -> Verdict:
        """Holds if all comparisons do, contradicted if one is, and undecided otherwise."""
        verdicts = {one.verdict for one in self.evidence}
        if Verdict.CONTRADICTED in verdicts:
            return Verdict.CONTRADICTED
        return Verdict.HOLDS if verdicts == {Verdict.HOLDS} else Verdict.UNDECIDED


def judge(claims: Sequence[Claim], rows: Rows) -> list[JudgedClaim]:
    """Returns the claims with their verdicts. Diverged runs are left out.

    Args:
      claims: all claims of an experiment.
      rows: the records by row label, also of rows without a record.

    Raises:
      UserError: a row is unknown, no record has a column, the records of a row differ in more than the seed, or rows
        were tested on different items.
    """
    for label, records in rows.items():
        check_alike(label, records)
    finished = {label: [r for r in records if r["status"] == "finished"] for label, records in rows.items()}
    comparisons = _comparisons([name for claim in claims for name in claim.columns], finished)
    by_claim = [[one for check in claim.checks for one in _expand(check, comparisons, finished)] for claim in claims]
    tested = iter(_test_all(list(itertools.chain.from_iterable(by_claim))))
    return [
        JudgedClaim(claim, list(itertools.islice(tested, len(evidence))))
        for claim, evidence in zip(claims, by_claim, strict=True)
    ]


def _comparisons(names: Iterable[str], rows: Rows) -> dict[str, tuple[MetricColumn, Comparison]]:
    """Returns the column of every name, and the comparison of all rows in it."""
    result = {}
    for name in dict.fromkeys(names):
        one = cast(MetricColumn, column_of_records(name, rows))  # a check has no other columns
        result[name] = one, one.comparison(rows)
    return result


def _expand(check: Check, comparisons: Mapping[str, tuple[MetricColumn, Comparison]], rows: Rows) -> list[Evidence]:
    """Returns the comparisons of a check, not tested yet."""
    one, comparison = comparisons[check.column]
    evidence = []
    for row, reference, higher in check.expectations:
        _check_row(row, rows)
        references = _others(row, one, comparison, rows) if reference is None else [reference]
        for other in references:
            if isinstance(other, str):
                _check_row(other, rows)
            evidence.append(Evidence(one, comparison, row, other, higher))
    return evidence


def _check_row(row: str, rows: Rows) -> None:
    if row not in rows:
        raise UserError(f"a claim names the row {row!r}, which the table does not have; {nearest(row, rows)}")


def _others(row: str, one: MetricColumn, comparison: Comparison, rows: Rows) -> list[str | float]:
    """Returns the other rows that have the metric, or that may get it since they have no record yet."""
    of_task = filter_task(rows, one.task)
    return [other for other in rows if other != row and (other in comparison.rows or not of_task[other])]


def _test_all(evidence: Sequence[Evidence]) -> list[Evidence]:
    """Returns the comparisons with their tests, corrected for all of them."""
    tests = [one.comparison.difference_test(one.row, one.reference) for one in evidence]
    corrected = holm([1.0 if test is None else test.p for test in tests])
    level = (1 - LEVEL) / max(len(evidence), 1)
    return [
        one
        if test is None
        else one._replace(
            test=test._replace(corrected=p),
            detectable=one.comparison.detectable_difference(one.row, one.reference, level),
        )
        for one, test, p in zip(evidence, tests, corrected, strict=True)
    ]


def _quote(labels: Iterable[str]) -> str:
    return " and ".join(f"`{label}`" for label in dict.fromkeys(labels))
