"""Claims: verdicts from records with known truth, their errors, and the command that prints and saves them."""

import functools
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from documents import ROOT
from fake_runs import DIVERGED, finished_record, make_record, make_runs
from hypothesis import given, settings
from hypothesis import strategies as st
from known_records import first, record, split
from user_folder import EXPERIMENT, user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.config import Config, digest, override
from attn_research.errors import UserError
from attn_research.metrics import statistics
from attn_research.metrics.difference import holm
from attn_research.reports.claims import Claim, Verdict, above, below, best, better, judge, ordered
from attn_research.runs import records
from attn_research.runs.committed import load_committed
from attn_research.sweeps.expand import load_experiment

EXACT = "test/exact"


def rows_of(*, seeds=3, of=100, **counts):
    """Returns rows, each with its number of correct items; seed s has s more."""
    return {
        label: [record(label, s, test=split(first(n + s, of))) for s in range(seeds)] for label, n in counts.items()
    }


def one_verdict(check, rows):
    (judged,) = judge([Claim("text", check)], rows)
    return judged.verdict


ROWS = rows_of(dot=90, general=60, concat=30)


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (better("dot", "general", EXACT), Verdict.HOLDS),
        (better("general", "dot", EXACT), Verdict.CONTRADICTED),
        (better("dot", "general", "test/wer"), Verdict.HOLDS),  # lower is better
        (ordered(("dot", "general", "concat"), EXACT), Verdict.HOLDS),
        (ordered(("dot", "concat", "general"), EXACT), Verdict.CONTRADICTED),
        (best("dot", EXACT), Verdict.HOLDS),
        (best("general", EXACT), Verdict.CONTRADICTED),
        (below("concat", EXACT, 0.6), Verdict.HOLDS),
        (below("concat", EXACT, 0.1), Verdict.CONTRADICTED),
        (above("dot", EXACT, 0.5), Verdict.HOLDS),
        (above("dot", EXACT, 0.91), Verdict.UNDECIDED),  # this is its mean
        ((better("dot", "concat", EXACT), above("dot", EXACT, 0.5)), Verdict.HOLDS),
        ((better("dot", "concat", EXACT), above("dot", EXACT, 0.91)), Verdict.UNDECIDED),
        ((better("concat", "dot", EXACT), above("dot", EXACT, 0.91)), Verdict.CONTRADICTED),
    ],
)
def test_a_verdict_follows_from_known_records(check, expected):
    assert one_verdict(check, ROWS) == expected


def test_equal_rows_are_undecided():
    assert one_verdict(better("dot", "general", EXACT), rows_of(dot=50, general=50)) == Verdict.UNDECIDED


def loss_rows(by_row):
    """Returns rows of which only the loss of each run is known."""
    return {
        label: [
            finished_record(
                override(Config(), {"model.attention.score": label, "seed": seed}),
                {"test": {"metrics": {"loss": value}, "items": {}, "ceiling": None}},
            )
            for seed, value in enumerate(values)
        ]
        for label, values in by_row.items()
    }


def test_p_values_equal_those_of_students_and_welchs_tests_after_holms_correction():
    dot, general = np.random.default_rng(0).normal([[1], [2]], [[1], [0.5]], size=(2, 6))
    rows = loss_rows({"dot": dot, "general": general})
    claims = [Claim("pair", better("dot", "general", "test/loss")), Claim("number", below("dot", "test/loss", 1.5))]
    tests = [judged.evidence[0].test for judged in judge(claims, rows)]
    expected = [scipy.stats.ttest_ind(dot, general, equal_var=False), scipy.stats.ttest_1samp(dot, 1.5)]
    assert [test.p for test in tests] == pytest.approx([test.pvalue for test in expected])
    assert [test.freedom for test in tests] == pytest.approx([test.df for test in expected])
    assert [test.corrected for test in tests] == pytest.approx(holm([test.pvalue for test in expected]))


def test_a_row_without_errors_is_above_a_number_only_if_it_has_enough_items():
    claim = above("dot", EXACT, 0.99)
    few, many = (rows_of(dot=items, of=items) for items in (100, 2000))
    assert [one_verdict(claim, rows) for rows in (few, many)] == [Verdict.UNDECIDED, Verdict.HOLDS]
    (judged,) = judge([Claim("", claim)], many)
    test = scipy.stats.norm.sf(0.01 / np.sqrt(0.99 * 0.01 / 2000)) * 2
    assert judged.evidence[0].test.p == pytest.approx(test, rel=0.1)


def test_the_detectable_difference_grows_with_the_number_of_comparisons():
    alone, *_ = judge([Claim("a", better("dot", "general", EXACT))], ROWS)
    one_of_four, *_ = judge([Claim("a", ordered(("dot", "general", "concat"), EXACT))] * 2, ROWS)
    assert 0 < alone.evidence[0].detectable < one_of_four.evidence[0].detectable


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 97), min_size=2, max_size=2), st.integers(0, 2))
def test_a_reversed_claim_has_the_opposite_verdict(counts, others):
    opposite = {"holds": "contradicted", "contradicted": "holds", "undecided": "undecided"}
    rows = rows_of(dot=counts[0], general=counts[1])
    more = [Claim("more", above("dot", EXACT, 0.5))] * others
    (there, *_), (back, *_) = (
        judge([Claim("", better(*pair, EXACT)), *more], rows) for pair in (("dot", "general"), ("general", "dot"))
    )
    assert back.verdict == opposite[there.verdict]
    assert there.evidence[0].test.mean == -back.evidence[0].test.mean


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 97), st.integers(0, 97))
def test_more_claims_never_decide_one(dot, general):
    rows, claim = rows_of(dot=dot, general=general), Claim("", better("dot", "general", EXACT))
    alone, with_others = judge([claim], rows)[0], judge([claim, Claim("", best("general", EXACT))] * 3, rows)[0]
    assert with_others.verdict in (alone.verdict, Verdict.UNDECIDED)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (rows_of(dot=90, seeds=2) | rows_of(general=10), "too few seeds of `dot`"),
        (rows_of(dot=90) | {"general": []}, "no finished record of `general` has it"),
        (
            rows_of(dot=90) | {"general": [r | DIVERGED for r in rows_of(general=10)["general"]]},
            "no finished record of `general` has it",
        ),
    ],
)
@pytest.mark.parametrize("check", [better("dot", "general", EXACT), best("dot", EXACT)])
def test_rows_without_enough_seeds_make_a_claim_undecided(rows, reason, check):
    (judged,) = judge([Claim("text", check)], rows)
    assert judged.verdict == Verdict.UNDECIDED
    assert judged.evidence[0].why_untested == reason


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: better("dot", "general", "test/exakt"), "did you mean exact?"),
        (lambda: better("dot", "general", "parameters"), "'parameters' is not a metric, as test/exact is"),
        (lambda: better("dot", "general", "test/entropy"), "no value of test/entropy is better than another"),
        (lambda: below("dot", EXACT, 97), "between 0 and 1, a share and not percent"),
        (lambda: above("dot", "test/loss", float("nan")), "compares test/loss with nan"),
        (lambda: ordered(("dot",), EXACT), "must be two or more different ones"),
        (lambda: better("dot", "dot", EXACT), "must be two or more different ones"),
        (lambda: Claim("text", ()), "must be one such as better(...)"),
        (lambda: Claim("text", "holds"), "the check of claim 'text' is 'holds'"),
        (lambda: judge([Claim("", better("dott", "general", EXACT))], ROWS), "'dott', which the table does not have"),
        (lambda: judge([Claim("", better("dot", "generall", EXACT))], ROWS), "did you mean general?"),
        (lambda: judge([Claim("", better("dot", "general", "tset/exact"))], ROWS), "did you mean test/exact?"),
        (lambda: judge([Claim("", best("dot", "test[length>4]/exact"))], ROWS), "the attributes and the metric of"),
    ],
)
def test_errors_are_one_sentence(make, message):
    with pytest.raises(UserError) as error:
        make()
    assert message in str(error.value) and "\n" not in str(error.value)


@functools.cache
def blank(label, seed):
    return record(label, seed, test={})


def simulate(rng, effects, seeds, items=40):
    """Returns rows whose seeds and shared items have normal effects; a row's share is 0.5 plus its effect."""
    difficulty = rng.normal(0, 0.3, items)
    result = {}
    for label, effect in effects.items():
        levels = effect + rng.normal(0, 0.05, (seeds, 1)) + difficulty
        result[label] = [
            blank(label, s) | {"splits": {"test": split(rng.random(items) < 0.5 + levels[s])}} for s in range(seeds)
        ]
    return result


@pytest.fixture
def few_replicates(monkeypatch):
    monkeypatch.setattr(statistics, "REPLICATES", 100)
    monkeypatch.setattr("attn_research.reports.claims.check_alike", lambda label, records: None)  # slow


EQUAL = dict.fromkeys(("dot", "general", "concat", "location"), 0.0)
CLAIMS = (
    Claim("a", better("dot", "general", EXACT)),
    Claim("b", ordered(("concat", "location", "dot"), EXACT)),
    Claim("c", best("general", EXACT)),
    Claim("d", below("dot", EXACT, 0.5)),
)


@pytest.mark.parametrize("seeds", [3, 8])
def test_with_equal_means_at_most_5_percent_of_experiments_have_a_decided_claim(seeds, few_replicates):
    rng, trials = np.random.default_rng(seeds), 200
    false = [
        any(
            one.verdict != Verdict.UNDECIDED
            for judged in judge(CLAIMS, simulate(rng, EQUAL, seeds))
            for one in judged.evidence
        )
        for _ in range(trials)
    ]
    assert np.mean(false) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize(("items", "share"), [(180, 0.97), (40, 0.9), (400, 0.99)])
def test_a_share_near_1_is_decided_against_its_true_value_in_at_most_5_percent(items, share, few_replicates):
    """Every seed errs on the same items, so the row has the noise of few errors."""
    rng, trials = np.random.default_rng(items), 300
    claim = [Claim("", above("dot", EXACT, share))]
    rows = ([blank("dot", s) | {"splits": {"test": test}} for s in range(3)] for test in wrong_items(rng, share, items))
    decided = [judge(claim, {"dot": next(rows)})[0].verdict != Verdict.UNDECIDED for _ in range(trials)]
    discrete = 0.015  # the number of wrong items is a small whole number
    assert np.mean(decided) <= 0.05 + discrete + 3 * np.sqrt(0.05 * 0.95 / trials)


def wrong_items(rng, share, items):
    while True:
        yield split(rng.random(items) < share)


def test_claims_about_large_differences_hold(few_replicates):
    rng = np.random.default_rng(0)
    verdicts = [judge(CLAIMS[:1], simulate(rng, EQUAL | {"dot": 0.4}, 8))[0].verdict for _ in range(40)]
    assert verdicts.count(Verdict.HOLDS) >= 38


CLAIMING = (
    EXPERIMENT
    + """
from attn_research.reports.claims import Claim, above, better

CLAIMS = (
    Claim("general is better", better("general", "dot", "test/exact"), source="Luong et al. 2015"),
    Claim("dot gets every loss below 1 | always", above("dot", "test/loss", 0.01)),
)
"""
)


@pytest.fixture
def checkout(user_folder):  # noqa: F811
    """A folder with an experiment that has claims and committed records."""
    for folder in ("experiments", "docs"):
        (user_folder / folder).mkdir()
    path = user_folder / "experiments" / "small.py"
    path.write_text(CLAIMING)
    make_runs()
    for config in load_experiment("small.py").runs:
        if config.model.attention.score == "general":
            records.write(Path("runs") / digest(config), make_record(config, exact=0.95 + config.seed / 1000))
    assert main(["table", str(path.relative_to(user_folder)), "--save"]) == 0
    return user_folder


def test_the_command_prints_claims_with_evidence(checkout, capsys):
    capsys.readouterr()
    assert main(["claims", "experiments/small.py"]) == 0
    page = capsys.readouterr().out
    assert "| general is better | **holds** | test exact match, %, `general` minus `dot`: 4." in page
    assert "| Luong et al. 2015 |" in page and "always" in page and "p is corrected for 2 comparisons." in page
    assert main(["claims"]) == 0
    assert capsys.readouterr().out == page


def test_check_fails_if_the_page_does_not_follow_from_the_records(checkout, capsys):
    assert main(["claims", "--check"]) == 2
    assert "there is no docs/claims.md; --save writes it" in capsys.readouterr().err
    assert main(["claims", "--save"]) == 0
    assert capsys.readouterr().out == "docs/claims.md\n"
    assert main(["claims", "--check", "--runs", "elsewhere"]) == 0
    page = Path("docs/claims.md")
    assert "[Table](../experiments/results/small.md)" in page.read_text()
    page.write_text(page.read_text().replace("| **holds** |", "| **contradicted** |"))
    assert main(["claims", "--check"]) == 1
    captured = capsys.readouterr()
    assert "-| general is better | **contradicted** |" in captured.out
    assert (
        captured.err == "attn-research: docs/claims.md does not follow from the committed records; --save writes it\n"
    )


def test_saved_records_have_the_items_that_claims_need(user_folder, capsys):  # noqa: F811
    claim = 'CLAIMS = (Claim("a", better("general", "dot", "test/wer")),)\n'
    Path("small.py").write_text(EXPERIMENT + "from attn_research.reports.claims import Claim, better\n" + claim)
    splits = {"dev": split(first(60)), "test": split(first(60))}
    make_runs(splits=splits)
    assert main(["table", "small.py", "--save"]) == 0
    assert all("wer" in one["splits"]["test"]["items"] for one in load_committed("results/small.jsonl"))
    assert records.unpack(load_committed("results/small.jsonl")[0]["splits"]["test"]["items"]["wer"]["n"]).sum() == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "experiments/ has no experiment with CLAIMS and committed records here"),
        (["small.py"], "small.py defines no CLAIMS"),
        (["--save", "small.py"], "--save and --check take all experiments, so they allow no EXPERIMENT"),
        (["wrong.py"], "CLAIMS of wrong is ('dot is best',), but must be a tuple of Claim(text, check)"),
        (["unknown.py"], "unknown.py: a claim names the row 'dott', which the table does not have"),
    ],
)
def test_wrong_command_lines_and_files_are_one_sentence(user_folder, capsys, arguments, message):  # noqa: F811
    make_runs()
    Path("wrong.py").write_text(EXPERIMENT + "CLAIMS = ('dot is best',)\n")
    Path("unknown.py").write_text(CLAIMING.replace('"dot", "test/exact"', '"dott", "test/exact"'))
    assert main(["claims", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_the_claims_of_the_repository_follow_from_its_records(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["claims", "--check"]) == 0, capsys.readouterr().out
