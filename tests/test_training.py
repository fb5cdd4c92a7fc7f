"""The training step, the loop and its files. Real processes are killed and resumed."""

import json
import math
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_models import logged_metrics

from attn_research.config import Config, override
from attn_research.models.output_normalizers import cross_entropy
from attn_research.registry import Spec
from attn_research.runs import records
from attn_research.training.evaluate import evaluate
from attn_research.training.loop import improves, run
from attn_research.training.optimizers import make_optimizer, optimizers, schedules
from attn_research.training.program import make_program, product_flops
from attn_research.training.step import init_state
from attn_research.translator import load

TINY = override(
    Config(),
    {
        "data.task": "reverse(symbols=3, longest=4, longest_test=6, train=200, test=40)",
        "data.batch_size": 16,
        "data.shapes": 1,
        "model.embedding": 8,
        "model.encoder.hidden": 8,
        "model.decoder.hidden": 8,
        "train.learning_rate": 3e-2,
        "train.steps": 60,
        "train.log_every": 8,
        "train.evaluate_every": 20,
        "decode.ratio": 1.0,
        "decode.extra": 2,
    },
)

FORM = ("NHC", "HIO", "NHC")  # of a convolution over source positions


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The directory, record and reports of a finished run."""
    directory, reports = tmp_path_factory.mktemp("run"), []
    return directory, run(TINY, directory, reports.append), reports


def test_a_run_writes_its_record_and_files(finished):
    directory, record, reports = finished
    assert records.read(directory) == record
    assert records.is_done(directory, TINY)
    assert record["status"] == "finished"
    assert record["steps"] == 60
    assert set(record["splits"]) == {"dev", "test", "test_long"}
    outputs = {"exact", "wer", "per", "per_mean", "edits", "loss", "perplexity", "token", "aer", "aer_free"}
    movement = {"monotonicity", "jump", "covered", "padding_mass"}
    weights = {"entropy", "effective_support", "zero_share"} | movement
    test = record["splits"]["test"]
    assert set(test["metrics"]) == outputs | weights
    assert test["metrics"]["padding_mass"] == 0 and weights.isdisjoint(test["items"])
    assert np.all(records.unpack(record["splits"]["test"]["items"]["aer"]["d"]))  # counts all items
    assert len((directory / "outputs" / "test.jsonl").read_text().splitlines()) == 40
    assert [report["step"] for report in reports] == [line["step"] for line in logged_metrics(directory)]
    assert [line["step"] for line in logged_metrics(directory)] == [8, 16, 20, 20, 24, 32, 40, 40, 48, 56, 60, 60]


def test_training_logs_loss_and_norms(finished):
    first = logged_metrics(finished[0])[0]
    assert {"step", "loss", "gradient_norm", "update_norm", "parameter_norm"} == set(first)


def test_the_result_is_the_best_evaluation_on_dev(finished):
    directory, record, _ = finished
    dev_losses = {line["step"]: line["dev/loss"] for line in logged_metrics(directory) if "dev/loss" in line}
    assert record["best_step"] == min(dev_losses, key=dev_losses.get)
    assert record["splits"]["dev"]["metrics"]["loss"] == pytest.approx(dev_losses[record["best_step"]], abs=1e-9)


def test_the_record_has_the_dev_curve_and_the_peak_memory(finished):
    directory, record, _ = finished
    lines = [line for line in logged_metrics(directory) if "dev/loss" in line]
    assert record["dev"]["step"] == [20, 40, 60]
    for name in ("loss", "exact", "aer"):
        assert record["dev"][name] == [line[f"dev/{name}"] for line in lines]
    assert 10e6 < record["peak_memory"] < 100e9


def test_the_record_has_the_attributes_of_every_item(finished):
    directory, record, _ = finished
    for split in record["splits"]:
        items = [json.loads(line) for line in (directory / "outputs" / f"{split}.jsonl").read_text().splitlines()]
        attributes = record["splits"][split]["attributes"]
        actual = {name: records.unpack_attribute(values).tolist() for name, values in attributes.items()}
        lengths = [len(item["source"]) for item in items]
        assert {name: actual[name] for name in ("length", "target_length", "size")} == dict.fromkeys(
            ("length", "target_length", "size"), lengths
        )
        assert split == "test_long" or sum(actual["frequency"]) == 0  # no source is in two splits


def test_a_translator_repeats_the_outputs_of_the_run(finished):
    directory, _, _ = finished
    items = [json.loads(line) for line in (directory / "outputs" / "test.jsonl").read_text().splitlines()[:5]]
    actual = load(directory).translate([item["source"] for item in items])
    assert [one.output for one in actual] == [item["output"] for item in items]
    stored = np.load(directory / "outputs" / "attention.npz")
    for number, one in enumerate(actual):
        np.testing.assert_allclose(one.weights, stored[str(number)], atol=1e-5)
        assert one.log_probability < 0


def test_a_directory_without_a_run_is_reported(tmp_path):
    with pytest.raises(ValueError, match="no trained run"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("values", "lowest", "highest"),
    [([math.nan, 0.5, math.nan, 0.3], 3, 1), ([0.5, math.nan, 0.3, 0.3], 2, 0), ([math.nan, math.nan], 0, 0)],
)
def test_nan_is_worse_than_any_dev_metric(values, lowest, highest):
    for lower_is_better, expected in ((True, lowest), (False, highest)):
        best = None
        for number, value in enumerate(values):
            if improves(value, None if best is None else values[best], lower_is_better):
                best = number
        assert best == expected


def test_an_evaluation_with_nan_is_not_the_best_one(finished, tmp_path, monkeypatch):
    factors = iter([math.nan])  # of the first evaluation

    def spoiled(*arguments):
        evaluation = evaluate(*arguments)
        nll, tokens = evaluation.items["loss"]
        return evaluation._replace(items=evaluation.items | {"loss": (nll * next(factors, 1.0), tokens)})

    monkeypatch.setattr("attn_research.training.loop.evaluate", spoiled)
    dev_losses = {line["step"]: line["dev/loss"] for line in logged_metrics(finished[0]) if "dev/loss" in line}
    later = [step for step in dev_losses if step > 20]
    assert run(TINY, tmp_path)["best_step"] == min(later, key=dev_losses.get)


def test_an_empty_source_is_reported(finished):
    with pytest.raises(ValueError, match="source 1 has no symbols"):
        load(finished[0]).translate([["a"], []])


def test_a_nonfinite_loss_ends_the_run_with_a_record(tmp_path, monkeypatch):
    spoiled = lambda params, *rest: init_state(jax.tree.map(lambda leaf: leaf * jnp.nan, params), *rest)  # noqa: E731
    monkeypatch.setattr("attn_research.training.loop.init_state", spoiled)
    record = run(TINY, tmp_path)
    assert record["status"] == "diverged"
    assert "at step" in record["failure"]
    assert record["splits"] == {}
    assert records.read(tmp_path)["failure"] == record["failure"]
    with pytest.raises(ValueError, match="holds no trained run"):
        load(tmp_path)


def test_training_stops_early_without_improvement(tmp_path):
    still = override(TINY, {"train.learning_rate": 1e-30, "train.patience": 1, "train.evaluate_every": 8})
    record = run(still, tmp_path)
    assert record["best_step"] == 8
    assert record["steps"] == 16


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.task": 'transduction(path="nowhere")'}, ["nowhere"]),
        ({"data.task": "revers"}, ["revers", "reverse"]),
        ({"model.attention.score": "location(max_length=3)"}, ["location(max_length=3)", "3", "4 symbols"]),
        ({"model.attention.score": "nothing_here.py:score"}, ["nothing_here.py"]),
        ({"train.optimizer": "adamw"}, ["adamw", "adam"]),
    ],
)
def test_an_invalid_config_or_data_set_writes_nothing(tmp_path, changes, words):
    with pytest.raises(ValueError) as error:
        run(override(TINY, changes), tmp_path / "run")
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words)
    assert not (tmp_path / "run").exists()


PROCESS = """
import json, sys
from pathlib import Path
from attn_research.config import unflatten
from attn_research.training.loop import run
run(unflatten(json.loads(Path(sys.argv[1]).read_text())), Path(sys.argv[2]), lambda line: print(line, flush=True))
"""


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_resumes_to_the_same_end(tmp_path, finished, signal_number):
    """Parameters and metrics are bit-identical to those of an uninterrupted run in this process."""
    from attn_research.config import flatten

    config = tmp_path / "config.json"
    config.write_text(json.dumps(flatten(TINY)))
    command = [sys.executable, "-c", PROCESS, str(config), str(tmp_path / "run")]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with first.stdout as output:
        next(line for line in output if "'step': 48" in line)
        first.send_signal(signal_number)
    assert first.wait() != 0
    assert not (tmp_path / "run" / "result.json").exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole, resumed = finished[1], records.read(tmp_path / "run")
    assert resumed["parameters_hash"] == whole["parameters_hash"]
    assert resumed["splits"] == whole["splits"]
    assert resumed["dev"] == whole["dev"]
    assert logged_metrics(tmp_path / "run") == logged_metrics(finished[0])


def test_label_smoothing_mixes_the_target_with_all_symbols():
    logits = jnp.array([[[2.0, 0.0, -1.0]]])
    target = jnp.array([[0]])
    log_p = jax.nn.log_softmax(logits)[0, 0]
    expected = -(0.7 * log_p[0] + 0.3 * log_p.mean())
    np.testing.assert_allclose(cross_entropy(logits, target, 0.3)[0, 0], expected, rtol=1e-6)


def test_operations_of_products_are_counted_through_scans():
    W = jnp.ones((3, 5))

    def once(x):
        return x @ W

    def often(x):
        return jax.lax.scan(lambda c, _: (c, once(x)), 0.0, None, length=7)[1]

    x = jnp.ones((2, 3))
    assert product_flops(jax.make_jaxpr(once)(x)) == 2 * 2 * 3 * 5
    assert product_flops(jax.make_jaxpr(jax.jit(often))(x)) == 7 * 2 * 2 * 3 * 5
    features, filters = jnp.ones((2, 9, 3)), jnp.ones((5, 3, 4))
    convolution = lambda x: jax.lax.conv_general_dilated(x, filters, (1,), "SAME", dimension_numbers=FORM)  # noqa: E731
    assert product_flops(jax.make_jaxpr(convolution)(features)) == 2 * (2 * 9 * 4) * (5 * 3)


def test_seeds_and_learning_rates_share_compiled_programs():
    changes = [{}, {"seed": 3}, {"train.learning_rate": 1e-3}, {"train.clip": 0.5}]
    first, *same, other = (make_program(override(TINY, change), 7, 7) for change in changes)
    assert all(program is first for program in same)
    assert other is not first


def test_large_and_small_models_update_alike(monkeypatch):
    params = {"W": jnp.arange(6.0).reshape(2, 3), "b": jnp.ones(3)}
    actual = []
    for large in (0, 10**9):
        monkeypatch.setattr("attn_research.training.optimizers.FLATTEN_BELOW", large)
        optimizer, moved = make_optimizer(TINY.train, 0.1), params
        state = optimizer.init(moved)
        for _ in range(3):
            update, state = optimizer.update(jax.tree.map(jnp.cos, moved), state, moved)
            moved = optax.apply_updates(moved, update)
        actual.append((moved, len(jax.tree.leaves(state))))
    (one, leaves), (other, fewer) = actual
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), one, other)
    assert leaves > fewer


def test_a_users_optimizer_sees_every_array(tmp_path):
    file = tmp_path / "my_optimizers.py"
    file.write_text("import optax\n\ndef lamb(rate):\n    return optax.lamb(rate)\n")
    train = override(TINY, {"train.optimizer": f"{file}:lamb"}).train
    params = {"W": jnp.arange(6.0).reshape(2, 3), "b": jnp.ones(3)}
    updates = []
    for optimizer in (
        make_optimizer(train, 0.1),
        optax.chain(optax.clip_by_global_norm(train.clip), optax.lamb(lambda step: 0.1)),
    ):
        updates.append(optimizer.update(jax.tree.map(jnp.cos, params), optimizer.init(params), params)[0])
    jax.tree.map(np.testing.assert_array_equal, *updates)


def test_the_learning_rate_is_that_of_the_run(finished, tmp_path):
    _, _, reports = finished
    slow = []
    run(override(TINY, {"train.learning_rate": 3e-4}), tmp_path, slow.append)
    assert slow[0]["update_norm"] == pytest.approx(reports[0]["update_norm"] / 100, rel=0.5)


@pytest.mark.parametrize("name", schedules.functions)
def test_schedules_reach_their_peak_and_never_exceed_it(name):
    schedule = schedules.bind(Spec(name))(100)
    values = [float(schedule(jnp.asarray(step))) for step in range(101)]
    assert max(values) == pytest.approx(1)
    assert min(values) >= 0


def test_halving_begins_and_repeats_at_its_shares():
    schedule = schedules.bind(Spec("halving(begin=0.5, every=0.2)"))(100)
    assert [float(schedule(jnp.asarray(step))) for step in (0, 49, 50, 69, 70, 90)] == [1, 1, 0.5, 0.5, 0.25, 0.125]


HYPER = {
    "adam": ("b1=0.5", "b2=0.9", "eps=1.0"),
    "adadelta": ("rho=0.5", "eps=0.1"),
    "sgd": ("momentum=0.5",),
    "linear": ("warmup=0.5",),
    "cosine": ("warmup=0.5", "final=0.5"),
    "halving": ("begin=0.1", "every=0.4"),
    "constant": (),
}


@pytest.mark.parametrize("name", [*optimizers.functions, *schedules.functions])
def test_no_option_of_an_optimizer_or_schedule_is_inert(name):
    def values(spec):
        if name in schedules.functions:
            return [float(schedules.bind(Spec(spec))(20)(jnp.asarray(step))) for step in range(20)]
        optimizer = optimizers.bind(Spec(spec))(lambda step: 0.1)
        state, x = optimizer.init(jnp.ones(2)), jnp.ones(2)
        for _ in range(3):
            update, state = optimizer.update(x * jnp.array([1.0, 3.0]), state, x)
            x = x + update
        return x.tolist()

    for option in HYPER[name]:
        assert not np.allclose(values(name), values(f"{name}({option})"), rtol=1e-4)
