"""Limits of the search: compared with plain searches in Python, and with what they promise, in both searches."""

import dataclasses
import functools
import itertools

import numpy as np
import pytest
from small_models import LENGTHS, parameters
from test_beam import SMALL, check, decode, each_row, every_output, jitted_forcing, model, run_search, sources

from attn_research.data.vocab import BOS, EOS, PAD
from attn_research.decoding.beam import beam_search
from attn_research.decoding.search import greedy_search
from attn_research.training.evaluate import make_eval_step

LIMITS = [
    {"min_length": 2},
    {"max_length": 3},
    {"no_repeat_ngram_size": 1},
    {"no_repeat_ngram_size": 2},
    {"min_length": 3, "max_length": 5, "no_repeat_ngram_size": 3},
]


def limited(how, **limits):
    return dataclasses.replace(how, **limits)


def repeats(output: tuple, size: int) -> bool:
    ngrams = [output[i : i + size] for i in range(len(output) - size + 1)] if size else []
    return len(set(ngrams)) < len(ngrams)


def is_allowed(output: tuple, limit: int, min_length: int = 0, no_repeat_ngram_size: int = 0, **_) -> bool:
    """Whether a search may return this output of a row with this length limit."""
    ended = output[-1] == EOS
    written = output[:-1] if ended else output
    return (not ended or len(written) >= min_length) and not repeats(written, no_repeat_ngram_size)


@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_a_wide_beam_finds_every_output_that_the_limits_allow_and_no_other(limits):
    one, how = model(symbols=SMALL), limited(decode(130, extra=1), **limits)
    for seed in range(2):
        params = parameters(one, seed)
        n_best = run_search(one, how, params)
        for row, (limit, log_p) in enumerate(each_row(one, params, how)):
            every = every_output(log_p, limit, lambda total, length: total)
            check(n_best, row, [pair for pair in every if is_allowed(pair[1], limit, **limits)])


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("score", ["general", "coverage_gru", "none"])
def test_both_searches_keep_the_limits_and_a_beam_of_one_is_greedy(score, limits):
    one = model("coverage_gru" if score == "coverage_gru" else score)
    how = limited(decode(1, ratio=1.0, extra=5), **limits)
    for seed in range(3):
        params = parameters(one, seed)
        greedy = run_search(one, how, params, search=greedy_search)
        first = run_search(one, how, params).hypothesis(0)
        for a, b in zip(greedy, first, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
        wide = run_search(one, dataclasses.replace(how, beam=4), params)
        for outputs in (greedy.as_n_best(), wide):
            check_limits(outputs, how)


def check_limits(outputs, how) -> None:
    """Checks that real rows have distinct outputs inside the limits."""
    for row in range(3):
        limit = min(int(how.ratio * LENGTHS[row] + how.extra), how.max_length or 99)
        lists = [
            tuple(outputs.symbols[:length, k, row].tolist())
            for k, length in enumerate(outputs.lengths[:, row])
            if outputs.score[k, row] > -np.inf
        ]
        assert lists and len(set(lists)) == len(lists)
        for output in lists:
            assert len(output) <= limit and not {PAD, BOS} & set(output) and EOS not in output[:-1]
            assert output[-1] == EOS or len(output) == limit
            assert is_allowed(output, limit, how.min_length, how.no_repeat_ngram_size)


def test_an_output_ends_early_only_if_nothing_else_is_allowed():
    """The vocabulary has three symbols without EOS, and none may occur twice, so the fourth symbol is EOS."""
    one, how = model(symbols=SMALL), limited(decode(1, extra=9), min_length=8, no_repeat_ngram_size=1)
    for search, wide in ((greedy_search, 1), (beam_search, 4)):
        outputs = run_search(one, dataclasses.replace(how, beam=wide), parameters(one, 0), search=search)
        outputs = outputs.as_n_best() if search is greedy_search else outputs
        for row, k in itertools.product(range(3), range(wide)):
            assert outputs.lengths[k, row] == 4 and outputs.symbols[3, k, row] == EOS
            assert len(set(outputs.symbols[:4, k, row].tolist())) == 4


def coverage_bonus(one, params, row: int, output: tuple, beta: float) -> float:
    """Returns beta * sum_i log(min(sum_j p_ij, 1)), from teacher forcing."""
    target = np.zeros((4, 8), np.int32)
    target[row, : len(output)] = output
    weights = jitted_forcing(one)(params, sources(), LENGTHS, target)[1][: len(output), row, : LENGTHS[row]]
    return beta * np.log(np.minimum(weights.sum(0), 1)).sum()


@pytest.mark.parametrize("width", [2, 130])
def test_the_coverage_penalty_ranks_finished_hypotheses(width):
    """The outputs are those of a plain search to the limit, ranked by the sum of log probability and penalty."""
    one, beta = model(symbols=SMALL), 0.7
    how = limited(decode(width, extra=1), coverage_penalty=beta)
    for seed in range(2):
        params = parameters(one, seed)
        n_best = run_search(one, how, params)
        for row, (limit, log_p) in enumerate(each_row(one, params, how)):
            bonus = functools.partial(coverage_bonus, one, params, row, beta=beta)
            finished = [(total, output) for total, output in plain_finished(log_p, limit, width)]
            expected = sorted(((total + bonus(output), output) for total, output in finished), reverse=True)
            check(n_best, row, expected[:width])


def plain_finished(log_p: dict, limit: int, width: int) -> list[tuple]:
    """Returns all (log probability, output) pairs that a beam search without early stopping finishes."""
    alive, finished = [((), 0.0)], []
    for length in range(1, limit + 1):
        every = [((*b, s), total + log_p[b][s]) for b, total in alive for s in (EOS, 3, 4, 5)]
        every.sort(key=lambda pair: -pair[1])
        finished += [(t, o) for o, t in every[:width] if o[-1] == EOS or length == limit]
        alive = [(o, t) for o, t in every if o[-1] != EOS and length < limit][:width]
    return finished


@pytest.mark.parametrize(
    ("score", "changes", "message"),
    [
        ("general", {"coverage_penalty": 0.2}, "decode.coverage_penalty 0.2 has no effect with decode.beam 1"),
        ("general", {"min_length": 5, "max_length": 5}, "decode.min_length 5 leaves no room for EOS"),
    ],
)
def test_a_limit_without_effect_is_rejected(score, changes, message):
    with pytest.raises(ValueError, match=message):
        make_eval_step(model(score), limited(decode(1), **changes))


def test_a_coverage_penalty_without_attention_is_rejected():
    with pytest.raises(ValueError, match=r"coverage_penalty 0\.2 has no effect without attention"):
        run_search(model("none"), limited(decode(2), coverage_penalty=0.2), parameters(model("none"), 0))
