"""Every command reports invalid settings before it starts anything."""

import contextlib
from pathlib import Path

import pytest
from fake_runs import make_runs
from user_folder import user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.config import Config, override
from attn_research.training import check as check_module
from attn_research.training.check import check, check_all

pytestmark = pytest.mark.usefixtures("user_folder")
WRONG = [
    ("model.attention.score=generall", "did you mean general?"),
    ("model.attention.normalizer=softmx", "did you mean softmax?"),
    ("model.attention.normalizer=softmax(temprature=2)", "did you mean temperature?"),
    ("model.attention.window=gausian", "unknown window"),
    ("model.attention.latent=hardd", "did you mean hard?"),
    ("model.encoder.cell=lstmm", "did you mean lstm?"),
    ("model.decoder.bridge=dens", "did you mean dense?"),
    ("model.decoder.placement=afte", "did you mean after?"),
    ("model.decoder.combination=tan", "did you mean tanh?"),
    ("train.optimizer=adm", "did you mean adam?"),
    ("train.schedule=cosin", "did you mean cosine?"),
    ("decode.length_penalty=averag", "did you mean average?"),
    ("data.task=fak", "did you mean fake?"),
    ("data.task=fake(hw=1)", "did you mean how?"),
    ('data.task=transduction(path="result")', "did you mean results?"),
    ('data.task=transduction(path="results")', "no train.tsv"),
    ('data.task=translation(path="result")', "did you mean results?"),
    ("data.task=translation", "needs the folder"),
    ("model.attention.heads=3", "must divide"),
    ("model.attention.split=false", "has no effect with one head"),
    ("decode.length_penalty=average", "decode.beam"),
    ("model.attention.latent=hard", "input_feeding"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_a_sweep_reports_invalid_settings_before_the_first_run(change, message, capsys):
    assert main(["sweep", "small.py", "--jobs", "1", "--add", change]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and message in captured.err
    assert not Path("runs").exists()


@pytest.mark.parametrize(("change", "message"), WRONG[:9:4])
@pytest.mark.parametrize("command", ["train dates.py", "sweep small.py --list --add", "table small.py --add"])
def test_other_commands_report_invalid_settings_too(command, change, message, capsys):
    if command.startswith("table"):
        make_runs()
    assert main([*command.split(), change]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and message in captured.err
    assert Path("runs").exists() == command.startswith("table")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "    return lambda query, history: (keys * qury[:, None]).sum(-1)",
            "sum(-1)`, the name 'qury' is not defined; did you mean query?",
        ),
        (
            "    return lambda query, history: keys @ query",
            "mine.py:2: in `return lambda query, history: keys",
        ),
        (
            "    import numpy\n    return lambda query, history: numpy.tanh(keys[..., 0])",
            "mine.py:3: in `return lambda query, history: numpy.tanh(keys[..., 0])`, NumPy gets a JAX array",
        ),
        ("    ...", "mine.py:1: in `def cosine(param, keys, query_size):`, cosine returns nothing (None)"),
        (
            "    size = (keys**2).sum(-1) ** 0.5\n"
            "    return lambda query, history: (keys * query[:, None]).sum(-1) / (1 + size)",
            "mine.py:2: in `size = (keys**2).sum(-1) ** 0.5`, NaN arises",
        ),
    ],
)
def test_a_mistake_in_a_users_score_names_its_line(body, message, capsys):
    Path("mine.py").write_text(f"def cosine(param, keys, query_size):\n{body}\n")
    for command in ("train dates.py", "sweep small.py"):
        assert main([*command.split(), "model.attention.score=mine.py:cosine"]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1 and message in captured.err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"model.attention.score": "location(max_length=1)"},
        {"model.attention.score": "none", "train.auxiliary.coverage": 0.0},
        {"decode.beam": 20, "decode.length_penalty": "wu", "model.dropout": 0.5, "train.auxiliary.alignment": 1.0},
        {"model.attention.latent": "hard", "model.decoder.input_feeding": "none", "train.auxiliary.entropy": 0.1},
        {"model.attention.normalizer": "monotonic", "data.task": "nowhere.py:none"},
    ],
)
def test_valid_settings_pass(changes):
    own = changes.pop("data.task", "dates")
    check(override(Config(), changes))
    with pytest.raises(ValueError, match="cannot import") if own != "dates" else contextlib.nullcontext():
        check(override(Config(), changes | {"data.task": own}))


def test_each_program_of_a_sweep_is_checked_once(monkeypatch):
    checked = []
    monkeypatch.setattr(check_module, "check", lambda config, files: checked.append(config))
    scores = ("dot", "general")
    changes = [
        {"model.attention.score": score, "seed": seed, "train.learning_rate": rate}
        for seed in range(3)
        for rate in (1e-3, 1e-2)
        for score in scores
    ]
    check_all(override(Config(), change) for change in changes)
    assert sorted(config.model.attention.score for config in checked) == sorted(scores)
