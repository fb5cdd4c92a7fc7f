"""`attn-research check` on users' functions with common mistakes."""

import re
from pathlib import Path

import mistakes
import pytest
from small_models import SIZES

from attn_research.attention.laws import check, laws, notes
from attn_research.cli import main
from attn_research.config import Attention, Config, override
from attn_research.errors import UserError
from attn_research.models.seq2seq import Seq2Seq
from attn_research.registry import Spec
from attn_research.training.check import try_out

FILE = Path(mistakes.__file__)
LINES = FILE.read_text().splitlines()
MISTAKES = {
    "no_positions": ["an array [b] = [5] as logits", "[b s] = [5, 26]", "keys are [b s k] = [5, 26, 6]"],
    "swapped_axes": ["an array [s b] = [26, 5] as logits", "[b s] = [5, 26]", "x.T"],
    "no_sum": ["an array [b q] = [5, 4] as logits", "[b s] = [5, 26]", "a query is [b q] = [5, 4]"],
    "last_axis": ["an array [b s 1] = [5, 26, 1] as logits", "[b s] = [5, 26]", "x[..., 0]"],
    "late_param": ["param('W', ...) is called inside of the function that late_param returns", "before the `return`"],
    "no_default": ["temperature of no_default has no default", "temperature: float = 1.0"],
    "numpy_on_arrays": ["NumPy gets a JAX array", "use jax.numpy (jnp)"],
    "python_if": ["Python's if", "jnp.where(condition, a, b)"],
    "python_float": ["an array is converted to a Python number", "float"],
    "norm_of_zero": ["NaN arises", "all zeros", "jnp.sqrt(x + 1e-6)", "gradient of"],
    "log_of_negative": ["NaN arises"],
    "unknown_name": ["the name 'kesy' is not defined; did you mean keys?"],
    "unknown_function": ["jax.numpy has no 'eisnum'; did you mean einsum?"],
    "unknown_field": ["History has no 'lenghts'; did you mean lengths?"],
    "no_mask": ["the positions of a source are mixed", "source_mask(history.lengths, keys.shape[1])"],
    "no_mask_of_keys": ["the positions of a source are mixed", "source_mask(history.lengths, keys.shape[1])"],
    "no_return": ["no_return returns nothing (None) instead of a function of (query, history)"],
    "logits_at_once": ["returns an array [b s] = [5, 26] instead of a function of (query, history)"],
    "too_few": ["too_few takes (keys, query_size); but a score takes (param, keys, query_size)"],
    "no_history": ["the function that no_history returns takes (query)", "(query, history)"],
    "other_sizes": ["[k] = [6] and [12] do not fit together", "a query is [b q] = [5, 4]"],
}
LAWS = dict.fromkeys(("no_mask", "no_mask_of_keys"), "padding is invisible")
LAWS |= dict.fromkeys(("norm_of_zero", "log_of_negative"), "everything is finite")


def line_of(name: str) -> str:
    """Returns the place of a function's line that is marked as wrong, for example `mistakes.py:12`."""
    start = LINES.index(next(line for line in LINES if line.startswith(f"def {name}(")))
    wrong = next(number for number, line in enumerate(LINES[start:], start + 1) if line.endswith(" wrong"))
    return f"mistakes.py:{wrong}"


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence_with_its_line(name):
    law = LAWS.get(name, "it runs")
    others = [other for other in laws if other != law]
    (verdict,) = check(Attention(Spec(f"{FILE}:{name}")), exclude=others)
    assert verdict.passed is False and verdict.law == law
    assert f"{line_of(name)}: in `" in verdict.violation
    assert all(message in verdict.violation for message in MISTAKES[name])
    assert "\n" not in verdict.violation
    assert not any(word in verdict.violation for word in ("Tracer", "Error", "jaxlib", "dot_general"))


@pytest.mark.parametrize("name", [name for name in MISTAKES if not name.startswith("no_mask")])
def test_a_model_with_a_mistake_is_rejected_before_training(name):
    config = override(Config(), SIZES | {"model.attention.score": f"{FILE}:{name}"})
    with pytest.raises(UserError) as message:
        try_out(config, Seq2Seq(config.model, 9, 8))
    assert f"{line_of(name)}: in `" in str(message.value)
    assert MISTAKES[name][0].partition("[")[0] in str(message.value)


def test_untried_laws_are_listed_apart_from_laws_that_do_not_apply(capsys, monkeypatch):
    monkeypatch.chdir(FILE.parent)
    assert main(["check", "mistakes.py:no_positions"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "passed  history is declared: " in lines[0] and lines[1].startswith("failed  it runs: ")
    assert lines[2].startswith(f"        {line_of('no_positions')}: in `return lambda")
    assert lines[-3:-1] == ["1 passed, 1 failed", lines[-2]]
    assert lines[-2].startswith("16 not tried, because 'it runs' failed: everything is finite, ")
    assert lines[-1] == "does not apply: permuting the source changes more"
    assert sum(line.startswith("untried  ") for line in lines) == 16


def test_an_unknown_name_is_reported_with_the_nearest(capsys):
    assert main(["check", f"{FILE}:no_masc"]) == 2
    assert "did you mean no_mask?" in capsys.readouterr().err


def test_a_syntax_error_is_reported_with_its_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.py").write_text("import jax\n\ndef mine(param, keys, query_size:\n    return 1\n")
    monkeypatch.chdir(tmp_path)
    assert main(["check", "mine.py:mine"]) == 2
    message = capsys.readouterr().err
    assert "mine.py:3: in `def mine(param, keys, query_size:`, " in message and message.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "equal_sizes",
            "only where queries have the size of the keys: .*{line}: in `.*`, [k] = [6] and [q] = [4]",
        ),
        ("centered", "{line}: in `.*`, the positions of a source are mixed, .*; in these weights it cancels"),
    ],
)
def test_limitations_that_break_no_law_are_notes(name, message):
    (note,) = notes(Attention(Spec(f"{FILE}:{name}")))
    assert re.search(message.replace("[", r"\[").format(line=line_of(name)), note)


@pytest.mark.parametrize(
    ("changes", "line", "message"),
    [
        ({"normalizer": "by_row"}, "by_row", "gives an array [b] = [5] as weights, which must be [b s] = [5, 26]"),
        (
            {"window": "mask_alone"},
            "mask_alone",
            "it must give two things, visible [b s] and a function",
        ),
        ({"score": "forgetful"}, "forgetful", "the name 'wieghts' is not defined; did you mean weights?"),
        ({"score": "through_a_built_in"}, "through_a_built_in", "score 'cosine' needs query and key of one size"),
    ],
)
def test_mistakes_in_normalizers_windows_and_memories_are_reported(changes, line, message):
    pieces = {name: Spec(f"{FILE}:{component}") for name, component in changes.items()}
    (verdict,) = check(
        Attention(**{"score": Spec("general")} | pieces), exclude=[law for law in laws if law != "it runs"]
    )
    assert f"{line_of(line)}: in `" in verdict.violation and message in verdict.violation


@pytest.mark.slow
@pytest.mark.parametrize(("component", "status"), [("undeclared_coverage", 1), ("sharp", 0)])
def test_laws_are_printed_with_their_verdicts(component, status, capsys):
    score = "general" if status == 0 else f"broken_components:{component}"
    assert main(["check", score, "--normalizer", "broken_components:sharp"]) == status
    lines = capsys.readouterr().out.split("\n")
    assert lines[0].startswith("passed  history is declared: " if status == 0 else "failed  history is declared: ")
    assert ("with remembers=True it runs" in lines[1]) == bool(status)
    assert f", {status} failed" in "\n".join(lines[-5:])
    assert not any("\033" in line for line in lines)
