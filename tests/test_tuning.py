"""The equal tuning budget: trials and choices, from the command line to the committed table."""

import itertools
import json
import math
import re
from pathlib import Path

import pytest
from fake_runs import DIVERGED, make_record
from hypothesis import given
from hypothesis import strategies as st
from user_folder import user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.config import Config, digest, override, unflatten
from attn_research.errors import UserError
from attn_research.runs import records
from attn_research.runs.committed import read_lines
from attn_research.runs.trials import load_trials
from attn_research.sweeps.expand import load_experiment
from attn_research.sweeps.tuning import Tune, choose, dev_value, tune_rows

pytestmark = pytest.mark.usefixtures("user_folder")
RATES = (1e-3, 3e-3, 1e-2)
TUNE = Tune({"train.learning_rate": RATES}, seeds=(100, 101))
TUNED = """
from attn_research.config import Config, override
from attn_research.reports.tables import Table
from attn_research.sweeps.tuning import Tune

TUNE = Tune({"train.learning_rate": (1e-3, 3e-3, 1e-2, 3e-2)}, trial={"train.steps": 700})

def runs():
    for score in ("dot", "general"):
        for seed in range(3):
            yield override(Config(), {"data.task": "fake", "model.attention.score": score, "seed": seed})

table = Table("model.attention.score", ("test/exact", "parameters"))
"""
CHOSEN = {"dot": 1e-2, "general": 1e-3}


@pytest.fixture
def tuned():
    """Writes the tuned experiment tuned.py into the user's folder."""
    Path("tuned.py").write_text(TUNED)


def trial_records(losses, tune=TUNE, base=Config()):  # noqa: B008 (a frozen value)
    """Returns records of the trials of one row: `losses` in their order, None for a diverged one."""
    trials = tune.trials(base)
    result = {}
    for trial, loss in zip(trials, losses, strict=True):
        curve = {"step": [500, 1500], "loss": [9.0, loss], "exact": [0.0, loss]}
        result[trial.config] = make_record(trial.config, dev=curve, **(DIVERGED if loss is None else {}))
    return trials, result


LOSSES = st.lists(st.one_of(st.none(), st.integers(0, 5).map(float)), min_size=6, max_size=6)


@given(LOSSES, st.sampled_from(["dev/loss", "dev/exact"]))
def test_the_choice_is_the_best_mean_of_settings_that_never_diverged(losses, metric):
    tune = Tune({"train.learning_rate": RATES}, seeds=(100, 101), metric=metric)
    trials, found = trial_records(losses, tune)
    choice = choose(tune, trials, found)
    pairs = zip(losses[::2], losses[1::2], strict=True)
    means = {rate: (a + b) / 2 for rate, (a, b) in zip(RATES, pairs, strict=True) if None not in (a, b)}
    if not means:
        assert choice.setting == {}
        return
    best = (min if metric == "dev/loss" else max)(means.values())
    assert choice.setting == {"train.learning_rate": next(rate for rate in means if means[rate] == best)}
    assert choice.edges == (["train.learning_rate"] if choice.setting["train.learning_rate"] in RATES[::2] else [])


@given(LOSSES, st.floats(0, 1))
def test_test_splits_never_enter_a_choice(losses, exact):
    trials, found = trial_records(losses)
    other = {
        config: record | {"splits": {split: {"metrics": {"exact": exact}} for split in record["splits"]}}
        for config, record in found.items()
    }
    assert repr(choose(TUNE, trials, other)) == repr(choose(TUNE, trials, found))  # nan is not equal to itself


def test_a_choice_needs_every_trial():
    trials, found = trial_records([1.0] * 6)
    for trial in trials:
        assert choose(TUNE, trials, {config: found[config] for config in found if config != trial.config}) is None


def test_a_trial_counts_at_its_best_checkpoint():
    record = make_record(Config(), dev={"step": [1, 2, 3], "loss": [3.0, 1.0, 2.0]}, best_step=2)
    assert dev_value(TUNE, record) == 1.0
    assert math.isnan(dev_value(TUNE, record | {"dev": {"step": [2], "loss": [None]}}))
    for curve, message in (({"step": [2], "token": [1]}, "it has no dev/loss; known: token"), (None, "no dev curve")):
        with pytest.raises(UserError, match=message):
            dev_value(TUNE, record | {"dev": curve})


def test_every_row_has_the_same_trials_and_its_own_choice():
    rows = [override(Config(), {"model.attention.score": score}) for score in ("dot", "general")]
    found = {trial.config: make_record(trial.config) for row in rows for trial in TUNE.trials(row)}
    configs = [override(row, {"seed": seed}) for row in rows for seed in range(3)]
    tuning = tune_rows(TUNE, dict(zip(configs, configs, strict=True)), found)
    assert [len(trials) for trials in tuning.trials.values()] == [6, 6]
    assert {row.model.attention.score: choice.setting for row, choice in tuning.choices.items()} == {
        score: {"train.learning_rate": rate} for score, rate in CHOSEN.items()
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fields": {"train.rate": (1,)}}, "Tune cannot set the field 'train.rate'; .*"),
        ({"fields": {"seed": (1,)}}, "Tune cannot set the field 'seed'; .*"),
        ({"fields": {"train.clip": ()}}, r"train.clip of Tune is \(\), but must be a tuple of one or more values"),
        ({"fields": {"train.clip": "12"}}, "train.clip of Tune is '12', but must be a tuple of one or more values"),
        ({"fields": {"train.clip": (1, 1)}}, "train.clip of Tune has a value twice: 1, 1"),
        ({"seeds": ()}, r"seeds of Tune is \(\), but must be .*"),
        ({"metric": "test/exact"}, "the metric of Tune is 'test/exact'; known: .*; did you mean dev/exact."),
        ({"metric": "dev/entropy"}, "the metric of Tune is 'dev/entropy'; known: .*"),
        ({"trial": {"train.stepz": 1}}, "Tune cannot set the field 'train.stepz'; .*did you mean train.steps."),
    ],
)
def test_an_invalid_budget_is_reported_in_one_sentence(arguments, message):
    with pytest.raises(UserError, match=f"^{message}$"):
        Tune(**{"fields": {"train.clip": (1, 2)}} | arguments)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("range(3)", "(100,)", "seed 100 is both a tuning seed and the seed of a reported run"),
        ("TUNE = Tune(", "TUNE = dict(a=", "TUNE is {.*}, but must be a Tune"),
        ('"seed": seed}', '"seed": seed, "train.learning_rate": 1e-3 if score == "dot" else 1}', None),
        (
            '"model.attention.score": score,',
            '"train.learning_rate": 0.1 if score == "dot" else 1.0,',
            r"rows differ in train.learning_rate \(0.1 and 1.0\), which is tuned for every row",
        ),
    ],
)
def test_an_experiment_that_cannot_be_tuned_is_reported(tuned, old, new, message):
    Path("tuned.py").write_text(TUNED.replace(old, new).replace('trial={"train.steps": 700}', "**{}"))
    if message is None:
        load_experiment("tuned.py")
        return
    with pytest.raises(UserError, match=message):
        load_experiment("tuned.py")


def trained(runs="runs"):
    """Returns (score, rate, seed, steps) of every run in a directory."""
    configs = [unflatten(record["config"]) for record in records.load_runs(runs)]
    return sorted((c.model.attention.score, c.train.learning_rate, c.seed, c.train.steps) for c in configs)


TRIALS = [(score, rate, 100, 700) for score in CHOSEN for rate in (1e-3, 3e-3, 1e-2, 3e-2)]
REPORTED = [(score, rate, seed, 1500) for score, rate in CHOSEN.items() for seed in range(3)]


def test_a_sweep_trains_trials_and_then_every_row_with_its_choice(tuned, capsys):
    assert main(["sweep", "tuned.py", "--list"]) == 0
    listed = capsys.readouterr().out
    assert listed.count("trial: ") == 8
    assert "6 runs wait for the choice of their settings" in listed
    assert main(["sweep", "tuned.py"]) == 0
    assert trained() == sorted(TRIALS + REPORTED)
    assert "tuned, tuning: 8 runs, 0 done, 8 to train" in capsys.readouterr().out
    assert main(["sweep", "tuned.py"]) == 0
    assert capsys.readouterr().out == "tuned, tuning: 8 runs, 8 done\ntuned: 6 runs, 6 done\n"
    assert main(["sweep", "tuned.py", "--list"]) == 0
    assert capsys.readouterr().out.count("done ") == 14


def test_a_table_prints_budget_choices_and_edges(tuned, capsys):
    main(["sweep", "tuned.py"])
    capsys.readouterr()
    assert main(["table", "tuned.py"]) == 0
    page = capsys.readouterr().out
    assert "Seeds per row: 3." in page
    assert (
        "- Tuning budget of every row: 4 settings x 1 seed (100), `train.learning_rate` 0.001, 0.003, 0.01, 0.03, with "
        "`train.steps` 700. Each row takes the setting with the best mean dev loss.\n"
        "- Chosen settings: `dot` 0.01; `general` 0.001.\n"
        "- At an edge of the grid, so a better value may lie beyond it (1 of 2 rows): `general` (0.001).\n"
    ) in page
    assert main(["table", "tuned.py", "--no-tune"]) == 2
    assert "no run of tuned is finished" in capsys.readouterr().err


def test_rows_that_are_not_tuned_yet_have_no_number(tuned, capsys):
    main(["sweep", "tuned.py"])
    trial = TUNE.trials(load_experiment("tuned.py").runs[1])[0].config
    (Path("runs") / digest(override(trial, {"train.steps": 700})) / "result.json").unlink()
    capsys.readouterr()
    assert main(["table", "tuned.py"]) == 0
    page = capsys.readouterr().out
    assert "Not tuned yet, so without a number: `general` (3 of 4 trials)." in page
    assert "`general` has no record of seeds 0, 1, 2 yet." in page


def test_a_failed_trial_leaves_out_its_row_and_the_same_command_goes_on(tuned, capsys):
    text = TUNED.replace('"data.task": "fake"', '"data.task": "fake" if score == "dot" else "fake(how=\'raise\')"')
    Path("tuned.py").write_text(text)
    assert main(["sweep", "tuned.py"]) == 1
    assert "3 of 6 runs left out: trials of their rows are not finished" in capsys.readouterr().err
    assert trained() == sorted(line for line in TRIALS + REPORTED if line[0] == "dot")
    Path("tuned.py").write_text(TUNED)
    assert main(["sweep", "tuned.py"]) == 0
    assert trained() == sorted(TRIALS + REPORTED)


def test_a_diverged_trial_is_not_a_failure(tuned, capsys):
    text = TUNED.replace(
        '"seed": seed}', '"seed": seed, **({"data.task": "fake(how=\'diverge\')"} if score == "dot" else {})}'
    )
    Path("tuned.py").write_text(text)
    assert main(["sweep", "tuned.py"]) == 1  # the reported runs diverge too
    assert "3 of 6 finished runs diverged" in capsys.readouterr().err
    assert main(["table", "tuned.py"]) == 1
    assert "Not tuned, since every setting diverged: `dot`." in capsys.readouterr().out


def test_committed_trials_suffice_for_another_machine(tuned, capsys):
    main(["sweep", "tuned.py"])
    assert main(["table", "tuned.py", "--save"]) == 0
    assert main(["table", "tuned.py", "--check"]) == 0
    file = Path("results/tuned.trials.jsonl")
    assert file.stat().st_size < 8 * 400
    lines = load_trials(file)
    assert [sum(line["chosen"] for line in lines), len(lines)] == [2, 8]
    assert {record["id"] for record in load_trials(Path("results/tuned.trials.jsonl"))} == {
        line["id"] for line in lines
    }
    assert main(["sweep", "tuned.py", "--seeds", "2", "--runs", "other"]) == 0
    assert trained("other") == sorted(line for line in REPORTED if line[2] < 2)
    assert main(["sweep", "tuned.py", "--seeds", "2", "--runs", "third", "--retune"]) == 0
    assert trained("third") == sorted(TRIALS + [line for line in REPORTED if line[2] < 2])
    capsys.readouterr()
    assert main(["table", "tuned.py", "--runs", "nowhere"]) == 0  # from the committed records
    assert "Chosen settings: `dot` 0.01; `general` 0.001." in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["chosen", "changes", "dirty", "row"])
def test_check_covers_the_committed_trials(tuned, capsys, damage):
    main(["sweep", "tuned.py"])
    main(["table", "tuned.py", "--save"])
    file = Path("results/tuned.trials.jsonl")
    lines = [line for line, _ in read_lines(file)]
    if damage == "chosen":
        lines[0]["chosen"] = not lines[0]["chosen"]
    elif damage == "changes":
        lines[0]["changes"]["train.clip"] = 3.0
    elif damage == "dirty":
        lines[0]["dirty"] = True
    else:
        lines[0]["dev"]["loss"] = [0.0, 1000.0] if lines[0]["chosen"] else [0.0, -1.0]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))  # whole lines, without shared fields
    capsys.readouterr()
    assert main(["table", "tuned.py", "--check"]) != 0
    error = capsys.readouterr().err
    expected = {
        "chosen": "chosen, which is wrong", "changes": "other defaults of the config, or is damaged",
        "dirty": "made with uncommitted changes", "row": "",
    }  # fmt: skip
    assert expected[damage] in error


def test_the_command_line_tunes_any_experiment(capsys):
    grid = ["--tune", "train.learning_rate=1e-3,1e-2", "--tune", "train.schedule=constant,cosine(warmup=0.1)"]
    assert main(["sweep", "small.py", *grid, "--seeds", "1"]) == 0
    assert len(records.load_runs("runs")) == 2 * 4 + 2
    capsys.readouterr()
    assert main(["table", "small.py", *grid, "--seeds", "1"]) == 0
    page = capsys.readouterr().out
    assert "4 settings x 1 seed (100), `train.learning_rate` 0.001, 0.01 and `train.schedule` constant, cosine" in page
    assert "`dot` train.learning_rate=0.01, train.schedule=constant" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tune", "train.clip"], "'train.clip' is not of the form name=value,value"),
        (["--tune", "train.clipp=1,2"], "Tune cannot set the field 'train.clipp'; .*did you mean train.clip"),
        (["--tune", "train.clip=1,x"], "config field 'train.clip' is 'x', but must be of type float"),
        (["--tune", "train.clip=1,2", "--no-tune"], "--no-tune: not allowed with argument --tune"),
        (["--tune", "train.clip=1,2", "train.clip=3"], "train.clip is tuned; --no-tune takes one value for every row"),
        (["--seeds", "0"], "--seeds is 0, but must be at least 1"),
        (["--seeds", "2", "seed=1"], "seed=... and --seeds exclude each other"),
        (["--seeds", "101", "--tune", "train.clip=1,2"], "seed 100 is both a tuning seed and the seed of a reported"),
    ],
)
def test_wrong_options_are_reported_in_one_sentence(capsys, arguments, message):
    try:
        status = main(["sweep", "small.py", *arguments])
    except SystemExit as error:
        status = error.code
    assert status == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)


def test_more_seeds_reuse_existing_records(capsys):
    assert main(["sweep", "small.py"]) == 0
    before = {path: path.read_bytes() for path in Path("runs").glob("*/result.json")}
    assert main(["sweep", "small.py", "--seeds", "5"]) == 0
    assert len(records.load_runs("runs")) == 10
    assert all(path.read_bytes() == text for path, text in before.items())
    assert main(["table", "small.py", "--seeds", "5"]) == 0
    assert "Seeds per row: 5." in capsys.readouterr().out


EXPERIMENTS = sorted((Path(__file__).parents[1] / "experiments").glob("*.py"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_row_of_a_committed_table_had_the_same_number_of_trials(path):
    experiment, file = load_experiment(path), path.parent / "results" / f"{path.stem}.trials.jsonl"
    if experiment.tune is None:
        assert not file.exists()
        return
    tuning = tune_rows(experiment.tune, experiment.sizes, records.by_config(load_trials(file)))
    counts = {row: sum(trial.config in tuning.records for trial in trials) for row, trials in tuning.trials.items()}
    assert not file.exists() or set(counts.values()) == {len(experiment.tune.settings) * len(experiment.tune.seeds)}
    assert len(list(itertools.chain(*tuning.trials.values()))) == len(counts) * len(experiment.tune.trials(Config()))


MATCHED = TUNED.replace('"fake"', '"reverse(train=50, test=10)"').replace('("dot", "general")', '("dot", "concat")')


def test_rows_of_equal_size_are_tuned_and_named(capsys):
    """The table's rows are those of the base configs, and its footnote says the sizes."""
    match = "from attn_research.sweeps.matching import Match\nMATCH = Match('parameters', tolerance=0.03)\n"
    Path("matched.py").write_text(match + MATCHED)
    experiment = load_experiment("matched.py")
    sizes = {sized.model.attention.score: sized.model.decoder.hidden for sized in experiment.sizes.values()}
    assert sizes["dot"] == 64 > sizes["concat"]
    assert main(["sweep", "matched.py"]) == 0
    assert {unflatten(one["config"]).model.decoder.hidden for one in records.load_runs("runs")} == {*sizes.values()}
    capsys.readouterr()
    assert main(["table", "matched.py"]) == 0
    page = capsys.readouterr().out
    assert "Hidden sizes are solved for equal parameters (" in page
    assert f"`dot` 64, `concat` {sizes['concat']}." in page
    assert "Chosen settings: `dot` 0.01; `concat` " in page


def test_sizes_without_a_solution_are_reported(capsys):
    Path("matched.py").write_text(MATCHED)
    assert main(["sweep", "matched.py", "--match", "parameters"]) == 2
    error = capsys.readouterr().err
    assert "no hidden size gives row 'concat'" in error and "within 1 %" in error and error.count("\n") == 1


def test_tune_prints_every_trial_and_the_choice(tuned, capsys):
    assert main(["tune", "tuned.py"]) == 2
    assert "no row of tuned is tuned yet; `attn-research sweep` trains the trials" in capsys.readouterr().err
    main(["sweep", "tuned.py"])
    capsys.readouterr()
    assert main(["tune", "tuned.py", "--plot"]) == 0
    page = capsys.readouterr().out
    assert "| `dot` | 2.303 | 1.204 | **0** | 1.099 |" in page
    assert "| `general` | **0** | 1.099 | 2.303 | 3.401 |" in page
    assert "At an edge of the grid, so a better value may lie beyond it (1 of 2 rows): `general` (0.001)." in page
    assert [Path(line).is_file() for line in page.splitlines()[-3:]] == [True] * 3


def test_tune_names_rows_that_are_not_tuned_yet(tuned, capsys):
    main(["sweep", "tuned.py"])
    trial = load_experiment("tuned.py").tune.trials(load_experiment("tuned.py").runs[1])[0].config
    (Path("runs") / digest(trial) / "result.json").unlink()
    capsys.readouterr()
    assert main(["tune", "tuned.py"]) == 1
    captured = capsys.readouterr()
    assert "`general`" not in captured.out
    assert "1 of 2 rows are not tuned yet" in captured.err
    assert main(["tune", "small.py"]) == 2
    assert "small is not tuned; --tune names a field and its values" in capsys.readouterr().err


def test_rows_of_several_tasks_are_tuned_for_each(capsys):
    """Their names in the notes have the task."""
    text = TUNED.replace('"data.task": "fake"', '"data.task": f"fake(n={seed % 2})"')
    Path("tuned.py").write_text(text)
    main(["sweep", "tuned.py"])
    capsys.readouterr()
    assert main(["tune", "tuned.py"]) == 0
    page = capsys.readouterr().out
    assert page.count("| `dot on fake") == 2
    assert main(["table", "tuned.py"]) == 0
    assert "Chosen settings: `dot on fake` 0.01;" in capsys.readouterr().out


def test_settings_chosen_on_other_data_are_named(tuned, capsys):
    main(["sweep", "tuned.py"])
    main(["table", "tuned.py", "--save"])
    file = Path("results/tuned.trials.jsonl")
    file.write_text(file.read_text().replace("d" * 16, "e" * 16))
    for trial in TRIALS:
        for record in records.load_runs("runs"):
            if record["config"]["seed"] == trial[2]:
                (Path("runs") / record["id"] / "result.json").unlink()
    capsys.readouterr()
    assert main(["table", "tuned.py"]) == 0
    assert "The settings were chosen on other data than those of the runs" in capsys.readouterr().out


def test_committed_trials_of_edited_code_are_trained_again(capsys):
    text = TUNED.replace('("dot", "general")', '("dot", "mine.py:cosine")')
    Path("tuned.py").write_text(text)
    main(["sweep", "tuned.py"])
    main(["table", "tuned.py", "--save"])
    Path("mine.py").write_text(Path("mine.py").read_text().replace("sum(-1)", "sum(-1) * 2"))
    assert main(["sweep", "tuned.py", "--runs", "other"]) == 0
    assert len([line for line in trained("other") if line[2] == 100]) == 4  # those of the edited score
