"""Trained runs, loaded for decoding: their configs, vocabularies, segmentations, models and parameters."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from attn_research import storage
from attn_research.config import Config, check_search_changes, override, unflatten
from attn_research.data.segmentation import LearnedSegmentation, Segmentation
from attn_research.data.vocab import Vocabulary
from attn_research.decoding.ensemble import Ensemble
from attn_research.errors import UserError
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.registry import Spec
from attn_research.runs.compilation_cache import enable_compilation_cache
from attn_research.runs.identity import warn_versions
from attn_research.runs.trust import with_own_code
from attn_research.training.checkpoint import Checkpoints, Kind
from attn_research.training.prepare import SIDES, load_sides, saved_files


class LoadedRun(NamedTuple):
    """A trained run. Vocabularies and segmentations are those of source and target."""

    directory: Path
    config: Config
    vocabularies: Sequence[Vocabulary]
    segmentations: Sequence[Segmentation]

    @property
    def model(self) -> Seq2Seq:
        """The model without parameters."""
        return Seq2Seq(self.config.model, *map(len, self.vocabularies))

    def restore(self, average: tuple[Kind, int] | None = None) -> Any:
        """Returns the parameters of the best checkpoint, or the mean of several checkpoints.

        Raises:
          UserError: there are fewer checkpoints, or one is damaged.
        """
        checkpoints = Checkpoints(self.directory / "checkpoints")
        template = jax.eval_shape(functools.partial(init_parameters, self.model, 0))
        return (
            checkpoints.restore_best(template) if average is None else checkpoints.restore_average(template, *average)
        )


def load_runs(
    directories: Sequence[str | Path], changes: Mapping[str, Any] | None = None, trust: bool = False
) -> list[LoadedRun]:
    """Loads the run, or the members of an ensemble, without their parameters.

    Args:
      changes: fields of `decode` to change, as in `{"decode.beam": 5}`.
      trust: allows users' code that is stored in a directory to run.

    Raises:
      UserError: a directory has no trained run, a file is missing, a change is invalid, a run needs code that is not
        trusted, or the runs of an ensemble read or write different symbols.
    """
    if not directories:
        raise UserError("no run is given; an ensemble needs at least one")
    runs = [_load_run(Path(one), changes or {}, trust) for one in directories]
    for run in runs[1:]:
        _check_same_symbols(runs[0], run)
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]  # the calling program may set its own
        enable_compilation_cache()
    return runs


def join_models(runs: Sequence[LoadedRun]) -> Seq2Seq | Ensemble:
    """Returns the model of a run, or the ensemble of several, whose parameters are a list."""
    return runs[0].model if len(runs) == 1 else Ensemble(tuple(run.model for run in runs))


def _load_run(directory: Path, changes: Mapping[str, Any], trust: bool) -> LoadedRun:
    if Checkpoints(directory / "checkpoints").best_step() is None:
        raise UserError(f"{directory} holds no trained run; `attn-research train` trains one in runs/<id>")
    config = override(with_own_code(_read_config(directory), directory, trust), check_search_changes(changes))
    warn_versions(directory)
    return LoadedRun(directory, config, *_load_sides(directory, config.data.task))


def _check_same_symbols(run: LoadedRun, other_run: LoadedRun) -> None:
    """Rejects an ensemble of two runs with different vocabularies or segmentations; names the first difference."""
    first, other = run.directory, other_run.directory
    for side, left, right in zip(SIDES, run.vocabularies, other_run.vocabularies, strict=True):
        if left != right:
            number, a, b = _first_difference(left.symbols, right.symbols)
            raise UserError(
                f"the {side} vocabularies of {first} and {other} differ, first in symbol {number}, which is {a} and "
                f"{b}; an ensemble needs runs with the same vocabularies"
            )
    for side, one, two in zip(SIDES, run.segmentations, other_run.segmentations, strict=True):
        if type(one) is not type(two) or _content(one) != _content(two):
            raise UserError(
                f"the {side} segmentations of {first} and {other} differ; an ensemble needs runs that split alike"
            )


def _first_difference(left: Sequence[str], right: Sequence[str]) -> tuple[int, str, str]:
    """Returns the first index at which two lists differ, from 0, and the two values for a message."""
    pairs = list(itertools.zip_longest(left, right))
    number = next(number for number, (a, b) in enumerate(pairs) if a != b)
    a, b = ("missing" if one is None else repr(one) for one in pairs[number])
    return number, a, b


def _content(segmentation: Segmentation) -> Any:
    """Returns a value that is equal for two segmentations of the same type that split alike."""
    if isinstance(segmentation, LearnedSegmentation):
        return segmentation.tokenizer.to_str()
    return vars(segmentation)


def _read_config(directory: Path) -> Config:
    path = directory / "config.json"
    if not path.is_file():
        raise UserError(f"{directory} has no config.json, so its model is unknown")
    leaves = storage.read_json(path)
    try:
        return unflatten(leaves)
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{path} is not the config of a run: {error}") from error


def _load_sides(directory: Path, task: Spec) -> tuple[list[Vocabulary], Sequence[Segmentation]]:
    for part in saved_files(task):
        if not (directory / part).is_file():
            raise UserError(f"{directory} has no {part}, so its symbols are unknown; the run is incomplete")
    return load_sides(directory, task)
