"""What a law is, and how all of them are tried on one variant."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax

from attn_research import config
from attn_research.attention.laws.trial import Sizes, Trial

FULL = Sizes(rows=5, source=24, steps=4)
SMALLER = [
    Sizes(1, 0, 1),
    Sizes(1, 1, 1),
    Sizes(1, 2, 1),
    Sizes(1, 2, 2),
    Sizes(1, 3, 3),
    Sizes(2, 3, 3),
    Sizes(3, 3, 2),
]


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


def check(attention: config.Attention, sizes: Sizes = FULL) -> list[Verdict]:
    """Every law on one variant: about a second, and a few more for each law that fails.

    Raises:
      ValueError: the config names what is not there, or a score that has no weights.
    """
    make = functools.cache(functools.partial(Trial, attention))
    trials = [make(sizes)]
    if not trials[0].pieces["score"].traits.attends:
        raise ValueError(f"score {str(attention.score)!r} has no weights, so the laws of attention say nothing of it")
    if trials[0].any_trait("random"):
        trials.append(make(sizes, True))
    verdicts, runs = [], True
    with jax.enable_x64(True):
        for one in sorted(laws.values(), key=lambda one: not one.first):
            verdicts.append(_judged(one, trials, make) if runs else Verdict(one.name, one.says, None))
            runs = runs and not (one.first and verdicts[-1].passed is False)
    return verdicts


def _judged(one: Law, trials: list[Trial], make: Callable) -> Verdict:
    trials = [trial for trial in trials if one.applies(trial)]
    failed = [(trial, case) for trial in trials if (case := _case(one, trial))]
    if not failed or (one.somewhere and len(failed) < len(trials)):
        return Verdict(one.name, one.says, True if trials else None)
    trial, case = failed[0]
    return Verdict(one.name, one.says, False, case if one.somewhere else _smallest(one, trial, case, make))


def _case(one: Law, trial: Trial) -> str | None:
    try:
        return one.case(trial)
    except Exception as error:
        return sentence(error)


def sentence(error: Exception) -> str:
    """`TypeError: what was wrong`, in one line that is not too long."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _smallest(one: Law, trial: Trial, case: str, make: Callable) -> str:
    """The failing case with the fewest rows, source symbols and steps."""
    for sizes in SMALLER:
        try:
            small = one.case(make(sizes, True) if trial.training else make(sizes))
        except Exception:
            continue
        if small:
            return f"{sizes}: {small}"
    return f"{trial.sizes}: {case}"
