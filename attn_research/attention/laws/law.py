"""What a law is, and how all of them are tried on one variant."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax

from attn_research import config
from attn_research.attention.laws.trial import Sizes, Trial, trial_of
from attn_research.errors import UserError

FULL = Sizes(rows=5, source=24, steps=4)
SMALLER = (Sizes(1, 0, 1), Sizes(1, 2, 1), Sizes(1, 2, 2), Sizes(2, 3, 3), Sizes(3, 3, 2))


class Law(NamedTuple):
    """A law, and of which trials it says something."""

    name: str
    says: str
    case: Callable[[Trial], str | None]  # None, or how the variant fails, in words
    applies: Callable[[Trial], bool]
    somewhere: bool  # one trial in which it holds is enough, so no smaller one is looked for
    first: bool  # without it no other law can be tried


class Verdict(NamedTuple):
    """What came of one law."""

    law: str
    says: str
    passed: bool | None  # None: the law says nothing of this variant, or could not be tried
    case: str = ""  # the smallest failing one


laws: dict[str, Law] = {}


def law(
    function: Callable | None = None,
    applies: Callable[[Trial], bool] = lambda trial: True,
    somewhere: bool = False,
    first: bool = False,
) -> Callable:
    """Decorator; the function's name and docstring are what the law says."""
    if function is None:
        return functools.partial(law, applies=applies, somewhere=somewhere, first=first)
    name = function.__name__.replace("_", " ")
    laws[name] = Law(name, function.__doc__, function, applies, somewhere, first)
    return function


def check(
    attention: config.Attention, sizes: Sizes = FULL, smaller: Sequence[Sizes] = SMALLER, but: Sequence[str] = ()
) -> Iterator[Verdict]:
    """Every law, but those named, on one variant, and if one fails, the first of the `smaller` sizes that shows it.

    Raises:
      UserError: the config names what is not there, or a score that has no weights.
    """
    trials = [trial_of(attention, sizes)]
    if not trials[0].pieces["score"].traits.attends:
        raise UserError(f"score {str(attention.score)!r} has no weights, so the laws of attention say nothing of it")
    if trials[0].any_trait("random"):
        trials.append(trial_of(attention, sizes, training=True))
    runs = True
    for one in sorted((laws[name] for name in laws if name not in but), key=lambda one: not one.first):
        with jax.enable_x64(True):
            verdict = _judged(one, trials) if runs else Verdict(one.name, one.says, None)
            if verdict.passed is False and not one.somewhere:
                verdict = verdict._replace(case=_smallest(one, attention, smaller) or verdict.case)
        runs = runs and not (one.first and verdict.passed is False)
        yield verdict


def _judged(one: Law, trials: Sequence[Trial]) -> Verdict:
    """A law that holds somewhere holds if it does in one trial, the others if they do in all."""
    trials = [trial for trial in trials if one.applies(trial)]
    cases = [f"{trial.sizes}: {case}" for trial in trials if (case := _case(one, trial))]
    if not cases or (one.somewhere and len(cases) < len(trials)):
        return Verdict(one.name, one.says, True if trials else None)
    return Verdict(one.name, one.says, False, cases[0])


def _case(one: Law, trial: Trial) -> str | None:
    try:
        return one.case(trial)
    except Exception as error:
        return sentence(error)


def _smallest(one: Law, attention: config.Attention, smaller: Sequence[Sizes]) -> str | None:
    """The failing case with the fewest rows, source symbols and steps."""
    for sizes in smaller:
        with contextlib.suppress(Exception):
            if case := one.case(trial_of(attention, sizes)):
                return f"{sizes}: {case}"
    return None


def sentence(error: Exception) -> str:
    """`TypeError: what was wrong`, in one line that is not too long."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
