"""Restoring gives the saved state or an error of one sentence, whatever happened to the disk."""

import contextlib
import errno
import logging
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from damage import contents, damages

from attn_research import storage
from attn_research.config import Train
from attn_research.errors import UserError
from attn_research.training.checkpoint import Checkpoints
from attn_research.training.step import init_state


def state(step):
    """Returns a training state with other numbers at every step."""
    params = {"params": {"a": jnp.arange(6.0).reshape(2, 3) + step, "b": {"c": jnp.float32([step])}}}
    return init_state(params, Train(), seed=3)._replace(step=jnp.int32(step))


LIKE = state(0)


def progress(best):
    return {"epoch": 2, "batch": 1, "best_step": best, "best_value": 0.1, "pending": [{"loss": float("nan")}]}


def equal(a, b):
    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        np.array_equal(x, y) and x.dtype == y.dtype for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Checkpoints of steps 10, 20 and 30; the best is that of step 20."""
    checkpoints = Checkpoints(tmp_path_factory.mktemp("run") / "checkpoints")
    for step, best in ((10, 10), (20, 20), (30, 20)):
        checkpoints.save(step, state(step), progress(best))
    return checkpoints


@pytest.fixture
def copied(saved, tmp_path):
    shutil.copytree(saved.directory, tmp_path / "checkpoints")
    return Checkpoints(tmp_path / "checkpoints")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_last_two_checkpoints_and_their_best_ones_stay(saved):
    assert names(saved.last) == ["20", "30"]
    assert names(saved.best) == ["20"]
    restored, loop = saved.restore(LIKE)
    assert equal(restored, state(30))
    assert str(loop) == str(progress(20))
    assert equal(saved.restore_best(LIKE.params), state(20).params)


def save_five(directory, keep: int) -> Checkpoints:
    """Saves steps 10 to 50, of which 10, 20 and 40 are the best until then."""
    checkpoints = Checkpoints(directory / "checkpoints", keep)
    for step, best in ((10, 10), (20, 20), (30, 20), (40, 40), (50, 40)):
        checkpoints.save(step, state(step), progress(best))
    return checkpoints


@pytest.mark.parametrize(
    ("keep", "last", "best"),
    [
        (1, ["40", "50"], ["40"]),
        (2, ["40", "50"], ["20", "40"]),
        (3, ["30", "40", "50"], ["10", "20", "40"]),
        (9, ["10", "20", "30", "40", "50"], ["10", "20", "40"]),
    ],
)
def test_as_many_checkpoints_of_each_kind_stay_as_the_config_says(tmp_path, keep, last, best):
    checkpoints = save_five(tmp_path, keep)
    assert (names(checkpoints.last), names(checkpoints.best)) == (last, best)
    assert equal(checkpoints.restore_best(LIKE.params), state(40).params)
    restored, _ = checkpoints.restore(LIKE)
    assert equal(restored, state(50))
    checkpoints.save(60, state(60), progress(60))
    assert names(checkpoints.best) == [*best, "60"][-max(keep, 2) :]


def test_an_average_is_the_mean_of_the_newest_checkpoints_of_a_kind(tmp_path):
    checkpoints = save_five(tmp_path, 3)
    assert equal(checkpoints.restore_average(LIKE.params, "last", 3), state(40).params)
    assert equal(checkpoints.restore_average(LIKE.params, "best", 2), state(30).params)
    with pytest.raises(UserError, match=r"best has 3 checkpoints, but the average needs 4; train\.keep=4"):
        checkpoints.restore_average(LIKE.params, "best", 4)


def test_a_new_directory_has_nothing_to_restore(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.restore(LIKE) is None
    assert checkpoints.best_step() is None
    assert not list(tmp_path.iterdir())


def test_reading_changes_nothing(copied):
    """Also while another process is saving."""
    for folder in (copied.last, copied.best):
        (folder / ".40.123").mkdir()
        (folder / ".40.123" / "arrays.npz").write_text("half")
        (folder / "40.orbax-checkpoint-tmp").mkdir()
    before = contents(copied.directory)
    reader = Checkpoints(copied.directory)
    assert equal(reader.restore_best(LIKE.params), state(20).params)
    assert reader.best_step() == 20
    assert contents(copied.directory) == before
    copied.restore(LIKE)
    assert names(copied.last) == ["20", "30"]


@pytest.mark.parametrize("name", ["arrays.npz", "progress.json", storage.SUMS])
def test_a_damaged_checkpoint_falls_back_to_the_previous_one(copied, name, caplog):
    file = copied.last / "30" / name
    for damage in damages(file, 40):
        damage(file)
        with caplog.at_level(logging.WARNING):
            restored, loop = copied.restore(LIKE)
        assert equal(restored, state(20))
        assert loop["best_step"] == 20
        (warning,) = [record.getMessage() for record in caplog.records]
        assert str(copied.last / "30") in warning and "resumes from the checkpoint of step 20" in warning
        assert "\n" not in warning
        caplog.clear()
        assert names(copied.last) == ["20"]
        copied.save(30, state(30), progress(20))


def test_a_damaged_best_checkpoint_is_restored_from_the_last_ones(copied):
    (copied.best / "20" / "arrays.npz").write_bytes(b"")
    assert equal(copied.restore_best(LIKE.params), state(20).params)


@pytest.mark.parametrize("name", ["arrays.npz", "progress.json", storage.SUMS])
def test_a_damaged_best_checkpoint_is_an_error_and_never_another(copied, name):
    copied.save(40, state(40), progress(20))
    file = copied.best / "20" / name
    whole = file.read_bytes()
    for damage in damages(file, 40):
        damage(file)
        for call in (lambda: copied.restore_best(LIKE.params), lambda: copied.restore(LIKE)):
            with pytest.raises(UserError, match=f"{copied.best / '20'}.*; remove {copied.directory}") as caught:
                call()
            assert "\n" not in str(caught.value)
        file.write_bytes(whole)


def test_each_checkpoint_keeps_its_best_one(copied, caplog):
    """After a fall back to the previous checkpoint, its own best checkpoint is still there."""
    copied.save(40, state(40), progress(40))
    assert names(copied.last) == ["30", "40"] and names(copied.best) == ["20", "40"]
    (copied.last / "40" / "arrays.npz").write_bytes(b"")
    restored, loop = copied.restore(LIKE)
    assert equal(restored, state(30))
    assert equal(copied.restore_best(LIKE.params, loop["best_step"]), state(20).params)


def test_the_error_without_a_whole_checkpoint_says_what_to_do(copied):
    for step in ("20", "30"):
        (copied.last / step / "arrays.npz").write_bytes(b"")
    before = contents(copied.directory)
    with pytest.raises(UserError, match=f"no earlier checkpoint is intact; remove {copied.directory}"):
        copied.restore(LIKE)
    assert contents(copied.directory) == before


def assert_whole(checkpoints):
    """Asserts that checkpoint 30 or 40 restores with its best one, and that saving works again."""
    restored, loop = checkpoints.restore(LIKE)
    assert int(restored.step) in (30, 40)
    assert equal(restored, state(int(restored.step)))
    assert equal(checkpoints.restore_best(LIKE.params, loop["best_step"]), state(loop["best_step"]).params)
    checkpoints.save(40, state(40), progress(40))
    assert names(checkpoints.last) == ["30", "40"]


@pytest.mark.parametrize("call", ["replace", "rename", "fsync", "mkdir"])
@pytest.mark.parametrize("at", range(6))
def test_a_full_disk_is_an_error_and_earlier_checkpoints_stay_whole(copied, monkeypatch, call, at):
    calls, real = [], getattr(os, call)

    def full(*arguments, **named):
        calls.append(1)
        if len(calls) > at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        try:
            copied.save(40, state(40), progress(40))
        except UserError as error:
            assert "the checkpoint of step 40 cannot be written" in str(error) and "No space left" in str(error)
    assert_whole(copied)


class Killed(BaseException):
    """Stands for a killed process."""


OPERATIONS = ("mkdir", "fsync", "rename", "replace", "unlink", "rmdir")


def kill_after(patch, last):
    """Lets `last` file operations happen, then raises Killed; returns the list of attempted operations."""
    calls = []

    def counted(real):
        def operation(*arguments, **named):
            calls.append(real)
            if len(calls) > last:
                raise Killed
            return real(*arguments, **named)

        return operation

    for name in OPERATIONS:
        patch.setattr(os, name, counted(getattr(os, name)))
    return calls


def test_a_process_killed_between_two_file_operations_leaves_whole_checkpoints(saved, tmp_path, monkeypatch):
    def save(last, number):
        shutil.copytree(saved.directory, tmp_path / str(number))
        checkpoints = Checkpoints(tmp_path / str(number))
        with monkeypatch.context() as patch:
            calls = kill_after(patch, last)
            with contextlib.suppress(Killed):
                checkpoints.save(40, state(40), progress(40))
        return checkpoints, len(calls)

    _, operations = save(10**6, "whole")
    assert operations > 20
    for last in range(operations):
        checkpoints, _ = save(last, last)
        assert_whole(Checkpoints(checkpoints.directory))


def test_a_checkpoint_of_another_model_is_reported(copied):
    other = state(0)
    with pytest.raises(UserError, match="no array params/params/d: it was made by another version"):
        copied.restore_best({"params": other.params["params"] | {"d": jnp.ones(1)}})
    with pytest.raises(UserError, match=r"has params/params/b/c as float32 \[1\], but the model needs float32 \[2\]"):
        copied.restore_best({"params": {"b": {"c": jnp.ones(2)}}})


def test_orbax_checkpoints_are_read_and_replaced(tmp_path):
    """Earlier versions saved checkpoints with Orbax."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    with ocp.CheckpointManager(checkpoints.best) as best, ocp.CheckpointManager(checkpoints.last) as last:
        best.save(10, args=ocp.args.StandardSave(state(10).params))
        items = {"state": ocp.args.StandardSave(state(10)), "progress": ocp.args.JsonSave({"best_step": 10})}
        last.save(10, args=ocp.args.Composite(**items))
    before = contents(tmp_path)
    assert equal(checkpoints.restore_best(LIKE.params), state(10).params)
    assert contents(tmp_path) == before
    restored, loop = checkpoints.restore(LIKE)
    assert equal(restored, state(10)) and loop == {"best_step": 10}
    checkpoints.save(20, state(20), progress(10))
    assert names(checkpoints.last) == ["10", "20"] and names(checkpoints.best) == ["10"]
    checkpoints.save(30, state(30), progress(30))
    assert equal(checkpoints.restore(LIKE)[0], state(30))
    assert names(checkpoints.last) == ["20", "30"] and names(checkpoints.best) == ["10", "30"]
    (checkpoints.best / "10" / "default" / "manifest.ocdbt").write_bytes(b"")
    with pytest.raises(UserError, match="is damaged"):
        checkpoints.restore_best(LIKE.params, 10)
