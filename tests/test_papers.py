"""Experiments that re-run papers' tables, and the page that says what they show."""

import functools
import re
from pathlib import Path

import jax
import pytest
from documents import ROOT
from fake_runs import make_record, make_runs
from user_folder import EXPERIMENT, user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.commands.experiment_records import read_claims
from attn_research.config import Config, digest, override
from attn_research.data.task import tasks
from attn_research.errors import UserError
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.reports.papers import TUNED, Paper
from attn_research.runs import records
from attn_research.sweeps.expand import load_experiment
from attn_research.training.optimizers import make_optimizer

PAPERS = [path for path in sorted((ROOT / "experiments").glob("*.py")) if "\nPAPER = " in path.read_text()]
MAKEFILE = re.search(r"^PAPERS := ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
experiment = functools.cache(load_experiment)
each_paper = pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)


@each_paper
def test_an_experiment_on_a_paper_is_a_lab_note(path):
    words = ("Question", "Data", "Setting", "Cost", "Result", "Command")
    assert all(f"\n{word}: " in path.read_text() for word in words)
    assert f"attn-research sweep experiments/{path.name}" in path.read_text()


@each_paper
def test_every_row_has_three_seeds_or_says_that_it_has_not(path):
    seeds: dict[str, set[int]] = {}
    for config in experiment(path).runs:
        seeds.setdefault(experiment(path).table.label(config) + str(config.data.task), set()).add(config.seed)
    assert max(map(len, seeds.values())) >= 3
    if experiment(path).tune is None:
        assert "no tuning" in path.read_text()


@each_paper
def test_claims_name_existing_rows_and_say_where_they_come_from(path):
    rows = {experiment(path).table.label(config) for config in experiment(path).runs}
    rows |= {f"{label}, {name}" for name, how in experiment(path).evaluations.items() if how.row for label in rows}
    claims = read_claims(experiment(path))
    named = {row for claim in claims for check in claim.checks for one in check.expectations for row in one[:2]}
    assert claims and all(claim.source for claim in claims)
    assert {row for row in named if isinstance(row, str)} <= rows


@each_paper
def test_published_numbers_have_a_column_and_a_mark(path):
    published = experiment(path).published
    experiment(path).table.build({}, published)
    assert all(re.match(r"(SEEN|SEEN-2|CODE|recalled)\b", mark) for _, mark in published.values())


@each_paper
def test_the_papers_own_setting_can_be_built(path):
    paper = experiment(path).paper
    if paper.full is None:
        pytest.skip("the paper gives no setting")
    model = Seq2Seq(paper.full.model, source_size=7, target_size=8)
    jax.eval_shape(lambda: init_parameters(model, seed=0))
    make_optimizer(paper.full.train, paper.full.train.learning_rate)
    tasks.bind(paper.full.data.task)
    assert paper.differences(experiment(path).runs)


def test_make_papers_trains_every_paper():
    names = MAKEFILE[1].replace("\\\n", " ").split()
    assert len(set(names)) == len(names)
    assert {path.stem for path in PAPERS} == set(names)
    assert names.index("luong2015_table4") < names.index("luong2015_table6")


def test_table_6_needs_no_runs_beyond_those_of_table_4():
    four, six = (experiment(ROOT / "experiments" / f"luong2015_table{number}.py") for number in (4, 6))
    assert six.runs == four.runs and six.tune == four.tune


def test_rows_of_table_1_that_table_4_has_are_the_same_runs():
    four, one = (experiment(ROOT / "experiments" / f"luong2015_table{number}.py") for number in (4, 1))
    shared = {one.table.label(config) for config in set(one.runs) & set(four.runs)}
    assert shared == {"+ feed", "local-p (general) + feed"}


def test_the_page_of_the_repository_follows_from_its_experiments_and_records(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["papers", "--check"]) == 0, capsys.readouterr().out


def test_differences_are_those_of_the_closest_run():
    scores = ("dot", "concat", "concat(units=8)")
    here = [override(Config(), {"model.attention.score": score, "seed": 3}) for score in scores]
    full = override(Config(), {"model.attention.score": "concat(units=1000)", "train.steps": 9})
    paper = Paper("source", "claim", full)
    assert paper.differences(here) == {
        "model.attention.score": ("concat", "concat(units=1000)"),
        "train.steps": (1500, 9),
    }
    tuned = paper.differences(here, ["train.learning_rate", "train.steps"])
    assert tuned["train.learning_rate"] == (TUNED, 5e-3) and tuned["train.steps"] == (TUNED, 9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "claim", Config()), "source of PAPER is ''"),
        (("source", None, Config()), "claim of PAPER is None"),
        (("source", "claim", {}), "full of PAPER is {}, but must be a Config"),
        (("source", "claim", Config(), "text"), "differs of PAPER is 'text', but must be a tuple"),
    ],
)
def test_a_wrong_paper_is_reported(arguments, message):
    with pytest.raises(UserError) as error:
        Paper(*arguments)
    assert message in str(error.value)


WITH_PAPER = (
    EXPERIMENT
    + """
from attn_research.reports.claims import Claim, better
from attn_research.reports.papers import Paper

PUBLISHED = {("A | B 2015, general", "test/exact"): (97.5, "SEEN")}
CLAIMS = (Claim("general is better", better("general", "dot", "test/exact"), source="A | B 2015, Table 1, SEEN"),)
PAPER = Paper(
    source="A | B 2015, Table 1, SEEN",
    claim="general is <b>best</b>",
    full=override(Config(), {"model.attention.score": "general", "train.steps": 9}),
    differs=("Other data.",),
)
"""
)


@pytest.fixture
def checkout(user_folder):  # noqa: F811
    """A folder with an experiment on a paper that has not run yet."""
    for folder in ("experiments", "docs"):
        (user_folder / folder).mkdir()
    (user_folder / "experiments" / "small.py").write_text(WITH_PAPER)
    return user_folder


def test_an_experiment_without_runs_is_listed_as_such(checkout, capsys):
    assert main(["papers"]) == 0
    page = capsys.readouterr().out
    assert "\nNot run yet.\n" in page
    assert "| general is better | not run yet | A \\| B 2015, Table 1, SEEN |" in page
    assert "97.5 (SEEN)" in page and "general is \\<b\\>best\\</b\\>" in page
    assert "- Other data.\n" in page and "- `train.steps`: here `1500`, in the paper `9`" in page
    assert "`attn-research sweep experiments/small.py`" in page


def test_the_page_has_table_and_verdicts_of_committed_records(checkout, capsys):
    make_runs()
    for config in load_experiment("small.py").runs:
        if config.model.attention.score == "general":
            records.write(Path("runs") / digest(config), make_record(config, exact=0.95 + config.seed / 1000))
    assert main(["papers", "experiments/small.py"]) == 0  # from runs/
    assert "| general is better | **holds** |" in capsys.readouterr().out
    assert main(["papers"]) == 0
    assert "| general is better | **holds** |" in capsys.readouterr().out
    assert main(["papers", "--save"]) == 0  # from committed records, of which there are none
    assert "Not run yet." in Path("docs/papers.md").read_text()
    assert main(["table", "experiments/small.py", "--save"]) == 0
    assert main(["papers", "--save"]) == 0
    page = Path("docs/papers.md").read_text()
    assert "| general is better | **holds** |" in page and "Not run yet." not in page
    assert "[table](../experiments/results/small.md)" in page
    assert main(["papers", "--check"]) == 0
    Path("docs/papers.md").write_text(page.replace("**holds**", "**contradicted**"))
    capsys.readouterr()
    assert main(["papers", "--check"]) == 1
    captured = capsys.readouterr()
    assert "-| general is better | **contradicted** |" in captured.out
    assert captured.err == (
        "attn-research: docs/papers.md does not follow from the committed records; --save writes it\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "experiments/ has no experiment with PAPER here"),
        (["small.py"], "small.py defines no PAPER"),
        (["wrong.py"], "PAPER of wrong.py is 'Luong 2015', but must be a Paper(source, claim, full)"),
        (["--save", "small.py"], "--save and --check take all experiments, so they allow no EXPERIMENT"),
        (["--check"], "experiments/ has no experiment with PAPER here"),
    ],
)
def test_wrong_command_lines_and_files_are_one_sentence(user_folder, capsys, arguments, message):  # noqa: F811
    Path("wrong.py").write_text(EXPERIMENT + "PAPER = 'Luong 2015'\n")
    assert main(["papers", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
