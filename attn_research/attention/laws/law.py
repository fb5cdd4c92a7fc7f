"""The registry of the laws, and their check on one variant."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax

from attn_research import config
from attn_research.attention.guard import is_user_function
from attn_research.attention.laws import faults
from attn_research.attention.laws.trial import Sizes, Trial, get_trial
from attn_research.errors import UserError

FULL_SIZES = Sizes(rows=5, source=24, steps=4)
QUICK_SIZES = Sizes(rows=5, source=6, steps=2)
SMALLER_SIZES = (Sizes(1, 0, 1), Sizes(1, 2, 1), Sizes(1, 2, 2), Sizes(2, 3, 3), Sizes(3, 3, 2))


class Law(NamedTuple):
    """A law."""

    name: str
    description: str
    violation: Callable[[Trial], str | None]  # None, or a sentence that says how the variant breaks the law
    applies: Callable[[Trial], bool]
    one_trial_suffices: bool  # the law holds if it holds in one trial; else it must hold in all
    required: bool  # if it fails, no other law can be checked
    locate: Callable[[Trial], str | None]  # finds the line of a user's file that breaks it


class Verdict(NamedTuple):
    """The result of one law."""

    law: str
    description: str
    passed: bool | None  # None: the law does not apply, or was not checked
    violation: str = ""  # in the smallest case that fails
    skipped: str = ""  # the failed law without which this one cannot be checked


laws: dict[str, Law] = {}


def law(
    function: Callable | None = None,
    applies: Callable[[Trial], bool] = lambda trial: True,
    one_trial_suffices: bool = False,
    required: bool = False,
    locate: Callable[[Trial], str | None] = faults.find_definition,
) -> Callable:
    """Registers a law. The function's name is that of the law, and its docstring the description.

    Args:
      function: returns None if a trial keeps the law, else a sentence that says how it breaks it.
      applies: whether the law applies to a trial.
      one_trial_suffices: the law holds if it holds in one of the trials, in training or outside; else it must in all.
      required: no other law is checked if this one fails.
      locate: finds the line of a user's file that breaks the law.
    """
    if function is None:
        return functools.partial(
            law, applies=applies, one_trial_suffices=one_trial_suffices, required=required, locate=locate
        )
    name = function.__name__.replace("_", " ")
    laws[name] = Law(name, function.__doc__ or "", function, applies, one_trial_suffices, required, locate)
    return function


def check(
    attention: config.Attention,
    sizes: Sizes = FULL_SIZES,
    smaller: Sequence[Sizes] = SMALLER_SIZES,
    exclude: Sequence[str] = (),
) -> Iterator[Verdict]:
    """Checks every law on one variant and yields the verdicts.

    Args:
      sizes: of the trial.
      smaller: sizes to try when a law fails; the verdict shows the first that fails too.
      exclude: names of laws to leave out.

    Raises:
      UserError: the config names an unknown variant, or a score without weights.
    """
    trials = [get_trial(attention, sizes)]
    if not trials[0].components["score"].traits.attends:
        raise UserError(f"score {str(attention.score)!r} has no weights, so the laws of attention say nothing of it")
    if trials[0].any_trait("random"):
        trials.append(get_trial(attention, sizes, training=True))
    failed = ""  # a required law
    for item in sorted((laws[name] for name in laws if name not in exclude), key=lambda item: not item.required):
        with jax.enable_x64(True):
            verdict = _skip(item, trials, failed) if failed else _judge(item, trials)
            if verdict.passed is False and not item.one_trial_suffices:
                smallest = _smallest_violation(item, attention, smaller)
                verdict = verdict._replace(violation=smallest or verdict.violation)
        if item.required and verdict.passed is False:
            failed = item.name
        yield verdict


def notes(attention: config.Attention) -> Iterator[str]:
    """Yields notes on a user's score that keeps all laws: it needs equal sizes, or padding enters its logits."""
    trial = get_trial(attention, FULL_SIZES)
    if not is_user_function(trial.components["score"].function):
        return
    if reason := trial.needs_equal_sizes:
        yield f"{attention.score} works only where queries have the size of the keys: {reason}"
    mixed = None
    with contextlib.suppress(Exception), jax.enable_x64(True):
        mixed = faults.find_mixing(trial)
    if mixed and mixed != faults.find_definition(trial):
        yield f"{mixed}; in these weights it cancels"


def find_nonfinite(attention: config.Attention) -> str | None:
    """Returns where a user's function gives NaN or infinite numbers.

    None if it gives none, or does not accept the small sizes that are tried.
    """
    trial = get_trial.__wrapped__(attention, QUICK_SIZES)  # not a cached one: the user's file may have changed
    finite = laws["everything is finite"]
    if not faults.find_definition(trial):
        return None
    with contextlib.suppress(Exception), jax.enable_x64(True):
        if violation := finite.violation(trial):
            return _with_line(finite, trial, f"{trial.sizes}: {violation}")
    return None


def _skip(item: Law, trials: Sequence[Trial], failed: str) -> Verdict:
    applies = any(map(item.applies, trials))
    return Verdict(item.name, item.description, None, skipped=failed if applies else "")


def _judge(item: Law, trials: Sequence[Trial]) -> Verdict:
    trials = [trial for trial in trials if item.applies(trial)]
    violations = [violation for trial in trials if (violation := _violation(item, trial))]
    if not violations or (item.one_trial_suffices and len(violations) < len(trials)):
        return Verdict(item.name, item.description, True if trials else None)
    return Verdict(item.name, item.description, False, _with_line(item, trials[0], violations[0]))


def _violation(item: Law, trial: Trial) -> str | None:
    """Returns the violation, or the exception that the variant raises, in one line."""
    try:
        violation = item.violation(trial)
    except UserError as error:
        return str(error)
    except Exception as error:
        violation = format_error(error)
    return violation and f"{trial.sizes}: {violation}"


def _smallest_violation(item: Law, attention: config.Attention, smaller: Sequence[Sizes]) -> str | None:
    """Returns the violation at the first of the smaller sizes that fails."""
    for sizes in smaller:
        with contextlib.suppress(Exception):
            trial = get_trial(attention, sizes)
            if violation := item.violation(trial):
                return _with_line(item, get_trial(attention, FULL_SIZES), f"{sizes}: {violation}")
    return None


def _with_line(item: Law, trial: Trial, violation: str) -> str:
    """Returns the violation with the line of the user's file that causes it in front."""
    line = None
    with contextlib.suppress(Exception):  # the search runs the variant, which may raise the same exception as the law
        line = item.locate(trial)
    return f"{line}: {violation}" if line and not violation.startswith(line.partition(":")[0]) else violation


def format_error(error: Exception) -> str:
    """Returns `TypeError: message` in one line of limited length; of a UserError the message alone."""
    if isinstance(error, UserError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
