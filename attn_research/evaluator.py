"""Evaluates finished runs on any test set, with any search, as training evaluates: `evaluate(["runs/<id>"])`."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import jax

from attn_research.config import Decode, flatten
from attn_research.data import files
from attn_research.data.attributes import count_targets
from attn_research.data.fingerprint import UNHASHED, fingerprint, hash_table
from attn_research.decoding.ensemble import Ensemble
from attn_research.decoding.unknown import UnknownReplacement, read_dictionary, require_weights
from attn_research.errors import UserError, nearest
from attn_research.loading import LoadedRun, join_models, load_runs
from attn_research.models.seq2seq import Seq2Seq
from attn_research.runs import identity, records
from attn_research.runs.environment import environment
from attn_research.sweeps import evaluations
from attn_research.sweeps.evaluations import Evaluate
from attn_research.training import evaluate as training_evaluate
from attn_research.training import output
from attn_research.training.checkpoint import parse_average
from attn_research.training.evaluate import Rewrite, make_eval_step, unchanged
from attn_research.training.prepare import SIDES, Split, load_data
from attn_research.training.record import describe_split, hash_arrays
from attn_research.training.test_files import read_test
from attn_research.training.word_alignment import has_links

Report = Callable[[int, int], None]  # (evaluated items, all items)


class TestSet(NamedTuple):
    """What is evaluated."""

    split: Split
    targets: Mapping[bytes, int] | None  # how often each target occurs in training; None: unknown
    aligned: bool  # whether the run has gold alignments of symbols
    word_aligned: bool  # whether the run has gold links between words


def evaluate(
    directories: Sequence[str | Path],
    how: Evaluate | None = None,
    trust: bool = False,
    report: Report = lambda done, total: None,
) -> tuple[Path, evaluations.Record]:
    """Evaluates a finished run, or an ensemble of several, and writes the record; or reads it, if it exists.

    With the decoding of the run, on a split of its own and in the same environment, the numbers are those of the run's
    record.

    Args:
      directories: of the runs. The record is written below the first one.
      how: what is evaluated, and how; None: the split `test`, as in the config.
      trust: allows users' code that is stored in a directory to run.
      report: called after every batch.

    Returns:
      The directory of the evaluation and its record.

    Raises:
      UserError: a run is not finished or cannot be loaded, its data differ from those that it was made with, or a file
        or an option is invalid.
    """
    how = Evaluate() if how is None else how
    run_records = [_read_finished(Path(directory)) for directory in directories]
    key, hashes = how.key(run_records), how.hash_files()
    name = evaluations.evaluation_id(key, hashes)
    directory = Path(directories[0]) / evaluations.FOLDER / name
    if (record := evaluations.read(directory)) is not None:
        return directory, record
    runs = load_runs(directories, how.changes, trust)
    start = time.perf_counter()
    described = _evaluate(runs, run_records, how, directory / "outputs", report)
    record = {"id": name, "key": key, "files": hashes, "config": flatten(runs[0].config), **described}
    record |= {"seconds": time.perf_counter() - start, "date": datetime.now(UTC).isoformat(timespec="seconds")}
    evaluations.write(directory, record | environment())
    return directory, evaluations.read(directory) or record


def _evaluate(
    runs: Sequence[LoadedRun], run_records: Sequence[records.Record], how: Evaluate, outputs: Path, report: Report
) -> dict[str, Any]:
    """Writes the outputs, and returns the part of the record that describes them."""
    config, target = runs[0].config, runs[0].vocabularies[1]
    test = _read_files(runs[0], how) if how.data else _own_split(runs[0], how.split)
    params = [_restore(*pair, how) for pair in zip(runs, run_records, strict=True)]
    eval_step = _make_eval_step(join_models(runs), config.decode, test.aligned, test.word_aligned)
    done = 0

    def reported_step(params: Any, batch: Any) -> Any:
        nonlocal done
        result = eval_step(params, batch)
        done += int((batch.rows >= 0).sum())
        report(done, len(test.split.data))
        return result

    joined, size = params if len(runs) > 1 else params[0], config.data.batch_size
    rewrite = _replacement(runs, how, test.split) if how.replace_unknown else unchanged
    evaluation = training_evaluate.evaluate(reported_step, joined, test.split, target, size, config.decode, rewrite)
    outputs.mkdir(parents=True, exist_ok=True)
    output.write(outputs, how.measured, test.split, evaluation)
    return {
        "runs": [{name: one.get(name) for name in ("id", "best_step", "commit", "dirty")} for one in run_records],
        "parameters_hash": [hash_arrays(_leaves(one)) for one in params],
        "data": {how.measured: hash_table(test.split.data, UNHASHED)},
        "splits": {how.measured: describe_split(test.split, evaluation, test.targets)},
    }


@functools.lru_cache(maxsize=8)
def _make_eval_step(model: Seq2Seq | Ensemble, decode: Decode, aligned: bool, word_aligned: bool) -> Callable:
    """Returns the jitted step, which runs that differ in the seed share."""
    return make_eval_step(model, decode, aligned, word_aligned)


def _read_finished(directory: Path) -> records.Record:
    record = records.read(directory)
    if record is None:
        raise UserError(f"{directory} holds no finished run; `attn-research train` trains one in runs/<id>")
    if record["status"] != "finished":
        raise UserError(f"the run in {directory} {record['status']}, so there is nothing to evaluate")
    return record


def _restore(run: LoadedRun, record: records.Record, how: Evaluate) -> Any:
    """Returns the parameters that are evaluated.

    Raises:
      UserError: the best checkpoint is not the one that the run's record describes.
    """
    if how.average is not None:
        return run.restore(parse_average(how.average))
    params, expected = run.restore(), record.get("parameters_hash")
    if expected is not None and hash_arrays(_leaves(params)) != expected:
        raise UserError(f"the best checkpoint in {run.directory} has other parameters than those of its record")
    return params


def _leaves(params: Any) -> list[tuple[Any, Any]]:
    return jax.tree.leaves_with_path(jax.device_get(params))


def _read_files(run: LoadedRun, how: Evaluate) -> TestSet:
    split = read_test(run.config, [files.find_path(path) for path in how.data], run.vocabularies, run.segmentations)
    return TestSet(split, None, "alignment" in split.data.column_names, has_links(split))


def _own_split(run: LoadedRun, name: str) -> TestSet:
    """Returns a split of the run's task.

    Raises:
      UserError: there is no such split, or the data differ from those that the run was made with.
    """
    data, then = load_data(run.config), identity.read(run.directory)
    if name not in data.splits:
        raise UserError(f"task {run.config.data.task} has no split {name!r}; {nearest(name, data.splits)}")
    now = fingerprint(run.config.data.task) if then is not None and then.data else {}
    differ = [split for split in ("train", name) if now and then is not None and now[split] != then.data.get(split)]
    differ += [f"{side} vocabulary" for side, a, b in zip(SIDES, data[:2], run.vocabularies, strict=True) if a != b]
    if differ:
        raise UserError(
            f"the data of {run.config.data.task} are not those that {run.directory} was made with ({', '.join(differ)} "
            "differ), so its numbers would not be comparable"
        )
    aligned = any("alignment" in split.data.column_names for split in data.splits.values())
    targets = count_targets(data.splits["train"].encoded)
    return TestSet(data.splits[name], targets, aligned, any(map(has_links, data.splits.values())))


def _replacement(runs: Sequence[LoadedRun], how: Evaluate, split: Split) -> Rewrite:
    """Returns what replaces the unknown symbols of the outputs."""
    require_weights([run.config for run in runs])
    known: Mapping[str, str] = {}
    if how.dictionary is not None:
        known = read_dictionary(files.read_lines(files.find_path(how.dictionary)), how.dictionary)
    replacement = UnknownReplacement(runs[0].segmentations, known, how.unknown_step)
    sources, lines = split.data["source"].to_pylist(), split.column("raw_source")

    def rewrite(item: int, symbols: list[str], weights: Any) -> list[str]:
        return replacement.replace(symbols, weights, sources[item], None if lines is None else lines[item])

    return rewrite
