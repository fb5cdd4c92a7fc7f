"""Writes the run of an imported checkpoint: a directory as training writes it, after zero steps."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attn_research import storage
from attn_research.config import Config, override
from attn_research.data import task
from attn_research.data.vocab import UNK, Vocabulary
from attn_research.errors import UserError
from attn_research.importing import symbols
from attn_research.importing.convert import read_config, read_parameters
from attn_research.importing.systems import System, find_system
from attn_research.importing.weights import Weights, digest, read
from attn_research.registry import Spec
from attn_research.runs import identity, records
from attn_research.runs.clock import Clock
from attn_research.runs.environment import settings
from attn_research.runs.signals import never_stop
from attn_research.training import output
from attn_research.training.checkpoint import Checkpoints
from attn_research.training.loop import START, Training
from attn_research.training.prepare import SIDES, PreparedData
from attn_research.training.record import describe
from attn_research.training.run_status import identify

FILE = "imported.json"
CHANGEABLE = ("data.", "decode.")  # fields that an import may set; the parameters show the others
TASK = "tokenized"  # without a path, it has no data
STEP = 0  # of the checkpoint
MAX_UNKNOWN = 0.1  # share of unknown symbols without a warning

log = logging.getLogger(__name__)


class Imported(NamedTuple):
    """A converted checkpoint."""

    config: Config
    params: Any
    vocabularies: tuple[Vocabulary, Vocabulary]  # of source and target
    origin: dict[str, Any]  # system, file, vocabularies and options, with hashes, as JSON values

    @property
    def has_data(self) -> bool:
        """Whether the config names data to evaluate on."""
        spec = self.config.data.task
        return spec.name != TASK or "path" in spec.hyper


def convert(
    name: str,
    checkpoint: Path,
    vocabularies: Mapping[str, Path],
    options: Mapping[str, str] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Imported:
    """Reads a checkpoint of another system.

    Args:
      name: of the system, a key of SYSTEMS.
      checkpoint: a .npz or .safetensors file with the system's parameter names.
      vocabularies: the files of "source" and "target", a symbol a line.
      options: hyperparameters of the system that its parameters do not show.
      changes: fields of `data` and `decode`.

    Raises:
      UserError: a file cannot be read, or holds what this package has no counterpart of; or an option or a change is
        wrong.
    """
    system, changes = find_system(name), dict(changes or {})
    _check_changes(changes)
    file = read(checkpoint)
    sides = {side: symbols.read(vocabularies[side], system.specials, side) for side in SIDES}
    weights = Weights(file)
    changes |= {"train.imported": f"{name}:{file.sha256[:16]}", "data.task": _task(changes, system)}
    config = read_config(system, weights, options or {}, override(Config(), changes))
    params = read_parameters(system, weights, config, sides["source"], sides["target"])
    origin = {
        "system": system.title,
        "file": str(checkpoint),
        "sha256": file.sha256,
        "vocabularies": {
            side: {"file": str(vocabularies[side]), "sha256": digest(vocabularies[side])} for side in SIDES
        },
        "options": dict(options or {}),
    }
    return Imported(config, params, (sides["source"].vocabulary, sides["target"].vocabulary), origin)


def _check_changes(changes: Mapping[str, Any]) -> None:
    for name in changes:
        if not name.startswith(CHANGEABLE):
            raise UserError(f"{name!r} cannot be set in an import, only fields of data and decode can")


def _task(changes: Mapping[str, Any], system: System) -> Spec:
    """Returns the task, whose sources end as those of the system do."""
    spec, advice = Spec(changes.get("data.task", TASK)), "choose tokenized(path=...)"
    bound = task.tasks.bind(spec)
    if bound.traits.symbols == "learned":
        raise UserError(f"task {spec} learns its own symbols, but the checkpoint has a vocabulary; {advice}")
    if not system.specials.ends_source:
        return spec
    if "end" not in bound.hyper:
        raise UserError(f"a source of {system.title} ends in </s>, which task {spec} does not add; {advice}")
    return spec.with_hyper("end", True)


def write(imported: Imported, directory: Path, stop: Callable[[], bool] = never_stop) -> records.Record | None:
    """Writes the run's directory. With data, evaluates the parameters, and writes and returns the record.

    Args:
      stop: polled between two batches of the evaluation.

    Raises:
      UserError: the data is invalid, or the directory was made with other data.
      StopRequested: `stop` returned True.
    """
    config, params, origin = imported.config, imported.params, json.dumps(imported.origin, indent=1) + "\n"
    if not imported.has_data:
        sources = identity.sources(config)
        identity.write(directory, identify(config, settings(), with_data=False), sources)
        segmentations = task.default_segmentations(config.data.task, imported.vocabularies[1].symbols)
        output.write_inputs(directory, config, PreparedData(*imported.vocabularies, {}, segmentations))
        storage.write(directory / FILE, origin)
        Checkpoints(directory / "checkpoints").save_best(STEP, params, START | {"best_step": STEP})
        return None
    training = Training(config, Clock("prepare"), lambda metrics: None, stop, imported.vocabularies)
    _warn_unknown(training.data)
    training.state = training.state._replace(params=params)
    training.open(directory)
    storage.write(directory / FILE, origin)
    training.progress |= {"best_step": STEP}
    training.checkpoints.save_best(STEP, params, training.progress)
    splits = training.evaluate_all()
    outcome = {"status": "finished", "failure": None, "splits": splits}
    record = describe(training) | outcome | {"dev": None, "idle": False, "imported": imported.origin}
    records.write(directory, record)
    return record


def _warn_unknown(data: PreparedData) -> None:
    """Warns if the test split is segmented in another way than the vocabularies."""
    for side, sentences in zip(SIDES, data.splits["test"].encoded, strict=True):
        ids = np.concatenate([sentences[row] for row in range(len(sentences))])
        if (share := float((ids == UNK).mean())) > MAX_UNKNOWN:
            log.warning(
                "%.0f %% of the %s symbols of test are not in the vocabulary; is the text segmented as in training?",
                100 * share,
                side,
            )


def read_origin(directory: Path) -> dict[str, Any] | None:
    """Returns where the parameters in a run's directory come from; None if they were trained."""
    path = directory / FILE
    return storage.read_json(path) if path.is_file() else None
