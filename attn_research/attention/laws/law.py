"""What a law is, and how all of them are tried on one variant."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax

from attn_research import config
from attn_research.attention.guard import is_user_function
from attn_research.attention.laws import lines
from attn_research.attention.laws.lines import definition
from attn_research.attention.laws.trial import Sizes, Trial, get_trial
from attn_research.errors import UserError

FULL_SIZES = Sizes(rows=5, source=24, steps=4)
QUICK_SIZES = Sizes(rows=5, source=6, steps=2)
SMALLER_SIZES = (Sizes(1, 0, 1), Sizes(1, 2, 1), Sizes(1, 2, 2), Sizes(2, 3, 3), Sizes(3, 3, 2))


class Law(NamedTuple):
    """A law, and of which trials it says something."""

    name: str
    description: str
    violation: Callable[[Trial], str | None]  # None, or how the variant fails, in words
    applies: Callable[[Trial], bool]
    one_trial_suffices: bool  # one trial in which it holds is enough, so no smaller one is looked for
    required: bool  # without it no other law can be tried
    at: Callable[[Trial], str | None]  # which line of a user's file breaks it


class Verdict(NamedTuple):
    """What came of one law."""

    law: str
    description: str
    passed: bool | None  # None: the law says nothing of this variant, or was not tried
    violation: str = ""  # the smallest failing one
    skipped: str = ""  # the law without which it cannot be tried


laws: dict[str, Law] = {}


def law(
    function: Callable | None = None,
    applies: Callable[[Trial], bool] = lambda trial: True,
    one_trial_suffices: bool = False,
    required: bool = False,
    at: Callable[[Trial], str | None] = definition,
) -> Callable:
    """Decorator; the function's name and docstring are what the law says."""
    if function is None:
        return functools.partial(law, applies=applies, one_trial_suffices=one_trial_suffices, required=required, at=at)
    name = function.__name__.replace("_", " ")
    laws[name] = Law(name, function.__doc__, function, applies, one_trial_suffices, required, at)
    return function


def check(
    attention: config.Attention,
    sizes: Sizes = FULL_SIZES,
    smaller: Sequence[Sizes] = SMALLER_SIZES,
    exclude: Sequence[str] = (),
) -> Iterator[Verdict]:
    """Every law, but those named, on one variant, and if one fails, the first of the `smaller` sizes that shows it.

    Raises:
      UserError: the config names what is not there, or a score that has no weights.
    """
    trials = [get_trial(attention, sizes)]
    if not trials[0].components["score"].traits.attends:
        raise UserError(f"score {str(attention.score)!r} has no weights, so the laws of attention say nothing of it")
    if trials[0].any_trait("random"):
        trials.append(get_trial(attention, sizes, training=True))
    failed = ""  # the law without which no other can be tried
    for one in sorted((laws[name] for name in laws if name not in exclude), key=lambda one: not one.required):
        with jax.enable_x64(True):
            if failed:
                untried = failed if any(map(one.applies, trials)) else ""
                yield Verdict(one.name, one.description, None, skipped=untried)
                continue
            verdict = _judge(one, trials)
            if verdict.passed is False and not one.one_trial_suffices:
                verdict = verdict._replace(violation=_smallest_violation(one, attention, smaller) or verdict.violation)
        if one.required and verdict.passed is False:
            failed = one.name
        yield verdict


def notes(attention: config.Attention) -> Iterator[str]:
    """Yields where a user's score that breaks no law needs equal sizes, and where it sees padding."""
    trial = get_trial(attention, FULL_SIZES)
    if not is_user_function(trial.components["score"].function):
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
    trial = get_trial.__wrapped__(attention, QUICK_SIZES)  # not a cached one: the user's file may have changed
    finite = laws["everything is finite"]
    if not definition(trial):
        return None
    with contextlib.suppress(Exception), jax.enable_x64(True):
        if violation := finite.violation(trial):
            return _with_line(finite, trial, f"{trial.sizes}: {violation}")
    return None


def _judge(one: Law, trials: Sequence[Trial]) -> Verdict:
    """A law that holds somewhere holds if it does in one trial, the others if they do in all."""
    trials = [trial for trial in trials if one.applies(trial)]
    violations = [violation for trial in trials if (violation := _violation(one, trial))]
    if not violations or (one.one_trial_suffices and len(violations) < len(trials)):
        return Verdict(one.name, one.description, True if trials else None)
    return Verdict(one.name, one.description, False, _with_line(one, trials[0], violations[0]))


def _violation(one: Law, trial: Trial) -> str | None:
    try:
        violation = one.violation(trial)
    except UserError as error:
        return str(error)
    except Exception as error:
        violation = error_line(error)
    return violation and f"{trial.sizes}: {violation}"


def _smallest_violation(one: Law, attention: config.Attention, smaller: Sequence[Sizes]) -> str | None:
    """The failing case with the fewest rows, source symbols and steps."""
    for sizes in smaller:
        with contextlib.suppress(Exception):
            trial = get_trial(attention, sizes)
            if violation := one.violation(trial):
                return _with_line(one, get_trial(attention, FULL_SIZES), f"{sizes}: {violation}")
    return None


def _with_line(one: Law, trial: Trial, violation: str) -> str:
    """The case after the line of the user's file that it comes from."""
    line = None
    with contextlib.suppress(Exception):  # what the line is found by may fail as the law does
        line = one.at(trial)
    return f"{line}: {violation}" if line and not violation.startswith(line.partition(":")[0]) else violation


def error_line(error: Exception) -> str:
    """`TypeError: what was wrong`, in one line that is not too long; a user's error as it is."""
    if isinstance(error, UserError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
