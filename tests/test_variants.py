"""The list of variants agrees with the code, and docs/variants.md is that list."""

from pathlib import Path

import numpy as np
import pytest

from attn_research.attention.scores import scores
from attn_research.cli import main
from attn_research.registry import Spec
from attn_research.reports import variants

PAGE = Path(__file__).parents[1] / "docs" / "variants.md"


def test_the_page_equals_the_output_of_the_command(capsys):
    assert main(["scores"]) == 0
    assert PAGE.read_text(encoding="utf-8") == capsys.readouterr().out, "attn-research scores > docs/variants.md"


def test_every_variant_has_equation_and_source():
    for kind, actual in variants.variants().items():
        for variant in actual:
            assert variant.equation, variant
            assert variant.reference or not variants.has_weights(kind), variant


@pytest.mark.parametrize(
    ("spec", "count"),
    [("dot", "–"), ("general", "k q"), ("concat(units=7)", "7 k + 7 q + 7"), ("location(max_length=9)", "9 q")],
)
def test_parameter_counts_use_the_letters_of_the_sizes(spec, count):
    assert variants.format_count(variants.describe("model.attention.score", Spec(spec)).parameters) == count


def test_costs_count_matrix_products():
    length, size = variants.LENGTH, variants.SIZE
    dot = 4 * length * length * size  # scores and weighted sums; one multiplication and one addition each
    assert variants.flops("score", Spec("dot")) == dot
    assert variants.flops("score", Spec("general")) == dot + 2 * length * size * size


@pytest.mark.parametrize("name", [name for name, actual in scores.functions.items() if actual.__name__ != "none"])
def test_examples_show_weights(name):
    weights = variants.example("score", Spec(name)).weights
    assert weights.shape == (6, 8)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)


def test_a_variant_is_drawn(tmp_path, capsys):
    assert main(["scores", "softmax", "--plot", str(tmp_path / "weights.png")]) == 0
    assert "model.attention.normalizer" in capsys.readouterr().out
    assert (tmp_path / "weights.png").stat().st_size > 1000


def test_a_variant_without_docstring_has_no_equation(tmp_path, capsys):
    file = tmp_path / "plain.py"
    file.write_text(
        "def product(param, keys, query_size):\n    return lambda query, history: (keys * query[:, None]).sum(-1)\n"
    )
    assert main(["scores", f"{file}:product"]) == 0
    assert "product()` | – | – |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["conca"], "did you mean concat?"), (["--plot"], "needs a name"), (["concat(unit=3)"], "did you mean units?")],
)
def test_invalid_arguments_are_one_sentence(words, sentence, capsys):
    assert main(["scores", *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
