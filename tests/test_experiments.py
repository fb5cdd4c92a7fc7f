"""All configs and experiments load and build, and committed tables follow from committed records."""

import json
from pathlib import Path

import jax
import pytest

from attn_research.cli import main
from attn_research.config import digest, load
from attn_research.data.task import tasks
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.runs.committed import load_committed
from attn_research.sweeps.expand import load_experiment
from attn_research.training.optimizers import make_optimizer

TOP = Path(__file__).parents[1]
EXPERIMENTS = sorted((TOP / "experiments").glob("*.py"))
SAVED = [path for path in EXPERIMENTS if (path.parent / "results" / f"{path.stem}.jsonl").exists()]


@pytest.mark.parametrize("path", sorted((TOP / "configs").glob("*.py")), ids=lambda path: path.stem)
def test_a_config_documents_question_data_cost_expected_score_and_command(path):
    text = path.read_text()
    assert all(f"{word}:" in text for word in ("Question", "Data", "Setting", "Cost", "Expected", "Command"))
    tasks.bind(load(path).data.task)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_has_distinct_runs_and_valid_models(path):
    experiment = load_experiment(path)
    assert len({digest(config) for config in experiment.runs}) == len(experiment.runs)
    for config in {config.model: config for config in experiment.runs}.values():
        make_optimizer(config.train, config.train.learning_rate)
        model = Seq2Seq(config.model, source_size=7, target_size=8)
        jax.eval_shape(lambda model=model: init_parameters(model, seed=0))


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_committed_tables_follow_from_committed_records(path, capsys):
    assert main(["table", str(path), "--check"]) == 0, capsys.readouterr().err


def test_the_curve_in_the_docs_follows_from_committed_runs():
    lines = [json.loads(line) for line in (TOP / "docs" / "g2p_curve.jsonl").read_text().splitlines()]
    committed = load_committed(TOP / "experiments" / "results" / "g2p_scores.jsonl")
    best = {(record["id"], record["best_step"]): record["splits"]["dev"]["metrics"]["wer"] for record in committed}
    dev_wer = {(line["id"], line["step"]): line["dev/wer"] for line in lines}
    assert {key: dev_wer[key] for key in best} == pytest.approx(best)
    page = (TOP / "docs" / "g2p_curve.md").read_text()
    for step in sorted({line["step"] for line in lines}):
        cells = [f"{100 * line['dev/wer']:.1f}" for line in lines if line["step"] == step]
        assert f"| {step // 1735} | {' | '.join(cells)} |" in page
