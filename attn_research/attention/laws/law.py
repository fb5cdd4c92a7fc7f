"""What a law is, and how all of them are tried on one variant."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax

from attn_research import config
from attn_research.attention.guard import is_own
from attn_research.attention.laws import lines
from attn_research.attention.laws.lines import definition
from attn_research.attention.laws.trial import Sizes, Trial, trial_of
from attn_research.errors import UserError

FULL = Sizes(rows=5, source=24, steps=4)
QUICK = Sizes(rows=5, source=6, steps=2)
SMALLER = (Sizes(1, 0, 1), Sizes(1, 2, 1), Sizes(1, 2, 2), Sizes(2, 3, 3), Sizes(3, 3, 2))


class Law(NamedTuple):
    """A law, and of which trials it says something."""

    name: str
    says: str
    case: Callable[[Trial], str | None]  # None, or how the variant fails, in words
    applies: Callable[[Trial], bool]
    somewhere: bool  # one trial in which it holds is enough, so no smaller one is looked for
    first: bool  # without it no other law can be tried
    at: Callable[[Trial], str | None]  # which line of a user's file breaks it


class Verdict(NamedTuple):
    """What came of one law."""

    law: str
    says: str
    passed: bool | None  # None: the law says nothing of this variant, or was not tried
    case: str = ""  # the smallest failing one
    untried: str = ""  # the law without which it cannot be tried


laws: dict[str, Law] = {}


def law(
    function: Callable | None = None,
    applies: Callable[[Trial], bool] = lambda trial: True,
    somewhere: bool = False,
    first: bool = False,
    at: Callable[[Trial], str | None] = definition,
) -> Callable:
    """Decorator; the function's name and docstring are what the law says."""
    if function is None:
        return functools.partial(law, applies=applies, somewhere=somewhere, first=first, at=at)
    name = function.__name__.replace("_", " ")
    laws[name] = Law(name, function.__doc__, function, applies, somewhere, first, at)
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
    failed = ""  # the law without which no other can be tried
    for one in sorted((laws[name] for name in laws if name not in but), key=lambda one: not one.first):
        with jax.enable_x64(True):
            if failed:
                untried = failed if any(map(one.applies, trials)) else ""
                yield Verdict(one.name, one.says, None, untried=untried)
                continue
            verdict = _judged(one, trials)
            if verdict.passed is False and not one.somewhere:
                verdict = verdict._replace(case=_smallest(one, attention, smaller) or verdict.case)
        if one.first and verdict.passed is False:
            failed = one.name
        yield verdict


def notes(attention: config.Attention) -> Iterator[str]:
    """Yields where a user's score that breaks no law needs equal sizes, and where it sees padding."""
    trial = trial_of(attention, FULL)
    if not is_own(trial.pieces["score"].function):
        return
    if reason := trial.needs_equal_sizes:
        yield f"{attention.score} works only where queries have the size of the keys: {reason}"
    mixed = None
    with contextlib.suppress(Exception), jax.enable_x64(True):
        mixed = lines.mixing(trial)
    if mixed and mixed != definition(trial):
        yield f"{mixed}; in these weights it cancels"


def not_finite(attention: config.Attention) -> str | None:
    """Where a user's function gives NaN or infinite numbers; None where it does not, or fits no small sizes."""
    trial, finite = trial_of(attention, QUICK), laws["everything is finite"]
    if not definition(trial):
        return None
    with contextlib.suppress(Exception), jax.enable_x64(True):
        if case := finite.case(trial):
            return _with_line(finite, trial, f"{trial.sizes}: {case}")
    return None


def _judged(one: Law, trials: Sequence[Trial]) -> Verdict:
    """A law that holds somewhere holds if it does in one trial, the others if they do in all."""
    trials = [trial for trial in trials if one.applies(trial)]
    cases = [case for trial in trials if (case := _case(one, trial))]
    if not cases or (one.somewhere and len(cases) < len(trials)):
        return Verdict(one.name, one.says, True if trials else None)
    return Verdict(one.name, one.says, False, _with_line(one, trials[0], cases[0]))


def _case(one: Law, trial: Trial) -> str | None:
    try:
        case = one.case(trial)
    except UserError as error:
        return str(error)
    except Exception as error:
        case = sentence(error)
    return case and f"{trial.sizes}: {case}"


def _smallest(one: Law, attention: config.Attention, smaller: Sequence[Sizes]) -> str | None:
    """The failing case with the fewest rows, source symbols and steps."""
    for sizes in smaller:
        with contextlib.suppress(Exception):
            trial = trial_of(attention, sizes)
            if case := one.case(trial):
                return _with_line(one, trial_of(attention, FULL), f"{sizes}: {case}")
    return None


def _with_line(one: Law, trial: Trial, case: str) -> str:
    """The case after the line of the user's file that it comes from."""
    line = None
    with contextlib.suppress(Exception):  # what the line is found by may fail as the law does
        line = one.at(trial)
    return f"{line}: {case}" if line and not case.startswith(line.partition(":")[0]) else case


def sentence(error: Exception) -> str:
    """`TypeError: what was wrong`, in one line that is not too long; a user's error as it is."""
    if isinstance(error, UserError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
