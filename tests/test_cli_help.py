"""The parts of the command line that explain it: help, version, config fields, completion; and its first moments."""

import dataclasses
import importlib.metadata
import re
import shutil
import subprocess
import sys

import pytest
from user_folder import environment

from attn_research.cli import main
from attn_research.commands.fields import all_fields, read_comments
from attn_research.commands.parser import COMMANDS
from attn_research.config import Config, flatten
from attn_research.runs.environment import FAST_ENV


@pytest.mark.parametrize("command", [module.__name__.rpartition(".")[2].rstrip("_") for module in COMMANDS])
def test_help_teaches_with_examples_and_fits_80_columns(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert f"examples:\n  attn-research {command}" in text
    assert not [line for line in text.splitlines() if len(line) > 80 and not line.startswith("  attn-research ")]


@pytest.mark.parametrize("command", ["", "train"])
def test_help_imports_nothing_slow(command):
    words = f"from attn_research.commands.parser import parse; parse([*'{command}'.split(), '--help'])"
    code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {words}"
    loaded = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    names = {name.split(".")[0] for name in loaded.stderr.split()}
    assert not {"jax", "numpy", "datasets", "rich", "matplotlib", "shtab"} & names


def test_help_of_train_lists_every_field_with_its_comment(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    for field in all_fields():
        assert f" {field} {field.comment}".rstrip() in words


def test_every_field_of_a_config_has_a_default_and_a_comment_is_read_from_beside_or_above(capsys):
    fields = {field.name: field for field in all_fields()}
    assert {name: field.default for name, field in fields.items()} == flatten(Config())
    assert all(field.comment for field in fields.values() if field.name != "seed")
    assert read_comments(Commented) == {"a": "beside", "b": "above in two lines", "c": "inside", "d": ""}


@dataclasses.dataclass
class Commented:
    a: int = 1  # beside
    # above
    # in two lines
    b: int = 2
    c: tuple = (
        3,  # inside
        4,
    )
    d: int = 4


def test_config_shows_type_range_choices_and_default(capsys):
    assert main(["config", "model.attention"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert words.startswith("model.attention: ")
    (heads,) = (field for field in all_fields() if field.name == "model.attention.heads")
    assert f" model.attention.heads=1 {heads.comment} int, at least 1 and at most 8192" in words
    assert "model.attention.window=None" in words and "None or variant: " in words
    assert "one of none, values, output, both" in words
    assert main(["config", "model.attention.score"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("model.attention.score=dot\n    ") and "variant: dot, scaled_dot, general" in out


def test_the_version_names_the_commit_of_a_checkout(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    version = importlib.metadata.version("attn-research")
    assert end.value.code == 0
    assert re.fullmatch(
        rf"attn-research {version}( \(commit [0-9a-f]{{10}}(, modified)?\))?\n", capsys.readouterr().out
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_commands_options_and_fields(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(word in script for word in ("translate", "beam", "offline", "model.attention.score"))


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_completion_completes_in_bash(capsys):
    assert main(["completion", "bash"]) == 0
    words = "COMP_WORDS=(attn-research tr); COMP_CWORD=1; _shtab_attn_research; printf '%s ' \"${COMPREPLY[@]}\""
    result = subprocess.run(["bash", "-c", capsys.readouterr().out + words], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["train", "translate"]


def test_scores_prints_the_fields_of_a_preset(capsys):
    assert main(["scores", "preset:fairseq"]) == 0
    assert "model.attention.score=general\n" in capsys.readouterr().out


INTERRUPT = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == "{module}" and ("XLA_FLAGS" in os.environ) == {restarted}:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore SIGINT
from attn_research.cli import main
sys.meta_path.insert(0, Interrupt())
main()
"""
EARLY = ["attn_research.commands", "argparse", "attn_research.config"]


@pytest.mark.parametrize(
    ("module", "restarted"), [*((name, False) for name in EARLY), *((name, True) for name in [*EARLY, "numpy"])]
)
def test_an_interrupt_of_an_import_is_one_line(module, restarted, tmp_path):
    """In the first process of `train`, and in the one that replaces it, with the environment for fast training."""
    (tmp_path / "dates.py").write_text("from attn_research.config import Config\nconfig = Config()\n")
    code = [sys.executable, "-c", INTERRUPT.format(module=module, restarted=restarted), "train", "dates.py"]
    variables = {name: value for name, value in environment().items() if name not in FAST_ENV}
    result = subprocess.run(code, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert result.returncode == 130
    assert result.stderr.startswith("attn-research: stopped") and result.stderr.count("\n") == 1
