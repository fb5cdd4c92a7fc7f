"""Evaluations of finished runs: equal to the run's record, to the translator and to the same data in files."""

import json
import shutil

import numpy as np
import pytest
from small_models import TINY
from toy_corpus import corpus, write_text

from attn_research import evaluator
from attn_research.cli import main
from attn_research.config import Config, digest, override
from attn_research.data.fingerprint import fingerprint
from attn_research.data.task import load as load_task
from attn_research.data.vocab import UNKNOWN
from attn_research.metrics import METRICS
from attn_research.runs import records
from attn_research.sweeps.evaluations import Evaluate
from attn_research.training.loop import run
from attn_research.training.prepare import prepare
from attn_research.translator import load

CORPUS = corpus()
LINES = [de for de, _ in CORPUS["test"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The toy corpus with gold links; word i of a target belongs to word i of its source."""
    path = tmp_path_factory.mktemp("corpus")
    write_text(path, CORPUS)
    links = [" ".join(f"{i}-{i}" for i in range(len(de.split()))) for de, _ in CORPUS["test"]]
    (path / "test.gold").write_text("".join(f"{line}\n" for line in links))
    yield path
    load_task.cache_clear()


@pytest.fixture(scope="module")
def runs(folder, tmp_path_factory):
    """Two runs that differ in the seed. Their small vocabulary makes them write unknown symbols."""
    changes = {
        "data.task": f'translation(path="{folder}", vocabulary=5, units="words", align="gold")', "data.batch_size": 8,
        "data.shapes": 2, "model.attention.score": "general", "model.embedding": 4, "model.encoder.hidden": 4,
        "model.decoder.hidden": 4, "train.steps": 60, "train.evaluate_every": 30, "train.keep": 2,
        "train.learning_rate": 3e-2,
        "decode.ratio": 1.0, "decode.extra": 3,
    }  # fmt: skip
    root = tmp_path_factory.mktemp("runs")
    configs = [override(Config(), changes | {"seed": seed}) for seed in range(2)]
    for config in configs:
        run(config, root / digest(config))
    return [root / digest(config) for config in configs]


@pytest.fixture(scope="module")
def transduced(tmp_path_factory):
    """A run of `transduction`, and the folder of its data."""
    path = tmp_path_factory.mktemp("words")
    lines = [f"{word}\t{' '.join(word.upper())}\n" for word in ("ab", "ba", "aab", "abb", "bab", "bba")]
    for name in ("train", "dev", "test"):
        (path / f"{name}.tsv").write_text("".join(lines) + "ab\tA A\n")
    config = override(TINY, {"data.task": f'transduction(path="{path}")', "train.steps": 3})
    directory = tmp_path_factory.mktemp("run") / digest(config)
    run(config, directory)
    return directory, path


def outputs(directory, split="test"):
    return [json.loads(line) for line in (directory / "outputs" / f"{split}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("split", ["test", "dev"])
def test_the_own_search_on_the_own_split_gives_exactly_the_numbers_of_the_record(runs, split):
    directory, evaluation = evaluator.evaluate([runs[0]], Evaluate(split))
    record = records.read(runs[0])
    assert evaluation["splits"] == {split: record["splits"][split]}
    assert ("word_aer" in evaluation["splits"][split]["metrics"]) == (split == "test")
    assert outputs(directory, split) == outputs(runs[0], split)
    assert evaluation["parameters_hash"] == [record["parameters_hash"]]
    if split == "test":
        stored = [(d / "outputs" / "test_word_weights_reading.npz") for d in (directory, runs[0])]
        arrays = [dict(np.load(path)) for path in stored]
        assert all((arrays[0][name] == arrays[1][name]).all() for name in arrays[1])


def test_the_same_data_in_files_give_the_same_numbers_without_the_training_data(runs, folder, tmp_path):
    alone = shutil.copytree(runs[0], tmp_path / "alone")
    for name in ("test.de", "test.en", "test.gold"):
        shutil.copy(folder / name, tmp_path)
    hidden = folder.rename(folder.with_name("hidden"))
    load_task.cache_clear()
    try:
        files = tuple(str(tmp_path / name) for name in ("test.de", "test.en", "test.gold"))
        _, evaluation = evaluator.evaluate([alone], Evaluate(data=files))
        _, without_links = evaluator.evaluate([alone], Evaluate(data=files[:2]))
    finally:
        hidden.rename(folder)
    actual, expected = evaluation["splits"]["data"], records.read(runs[0])["splits"]["test"]
    assert actual["metrics"] == pytest.approx(expected["metrics"], rel=1e-5)
    assert actual["items"] == expected["items"] and actual["signatures"] == expected["signatures"]
    assert set(expected["attributes"]) - set(actual["attributes"]) == {"frequency"}
    links = {name for name in METRICS if name.startswith("word_")}
    assert set(without_links["splits"]["data"]["metrics"]) == set(expected["metrics"]) - links


def test_a_test_set_of_transduction_is_a_file_with_several_references(transduced):
    directory, path = transduced
    _, evaluation = evaluator.evaluate([directory], Evaluate(data=(str(path / "test.tsv"),)))
    expected = records.read(directory)["splits"]["test"]
    assert evaluation["splits"]["data"]["metrics"] == pytest.approx(expected["metrics"], rel=1e-5)
    assert evaluation["splits"]["data"]["items"] == expected["items"]


SEARCHES = {
    "beam": {"decode.beam": 3, "decode.length_penalty": "average", "decode.coverage_penalty": 0.2},
    "limits": {"decode.max_length": 3, "decode.min_length": 2, "decode.no_repeat_ngram_size": 1},
    "sampling": {"decode.sampling": "sample(seed=3)"},
}


@pytest.mark.parametrize("changes", SEARCHES.values(), ids=SEARCHES)
def test_outputs_are_those_of_the_translator(runs, changes):
    directory, evaluation = evaluator.evaluate([runs[0]], Evaluate(changes=changes))
    expected = [one.output for one in load(runs[0], changes).translate(LINES)]
    assert [item["output"] for item in outputs(directory)] == expected
    greedy = records.read(runs[0])["splits"]["test"]["metrics"]
    assert evaluation["splits"]["test"]["metrics"]["loss"] == pytest.approx(greedy["loss"], rel=1e-5)


@pytest.mark.parametrize("step", ["predicting", "reading"])
def test_unknown_symbols_are_replaced_before_outputs_are_scored(runs, tmp_path, step):
    known = {"Hund": "dog", "Katze": "cat"}
    (tmp_path / "words.tsv").write_text("".join(f"{word}\t{right}\n" for word, right in known.items()))
    translator = load(runs[0])
    translations = translator.translate(LINES)
    assert any(UNKNOWN in one.output for one in translations)
    for words, path in ((None, None), (known, str(tmp_path / "words.tsv"))):
        how = Evaluate(replace_unknown=True, dictionary=path, unknown_step=step)
        directory, evaluation = evaluator.evaluate([runs[0]], how)
        pairs = zip(translations, LINES, strict=True)
        expected = [translator.join(translator.replace_unknown(*pair, words, step)) for pair in pairs]
        assert [item["text"] for item in outputs(directory)] == expected
        assert not any(UNKNOWN in line for line in expected)
        before, after = (record["splits"]["test"] for record in (records.read(runs[0]), evaluation))
        assert after["metrics"]["word_aer"] == before["metrics"]["word_aer"]  # of the references
        assert after["metrics"]["chrf"] != before["metrics"]["chrf"]


def test_an_ensemble_averages_probabilities_in_search_and_in_forced_decoding(runs):
    directory, evaluation = evaluator.evaluate(runs, Evaluate(changes={"decode.beam": 2}, ensemble=True))
    translator = load(runs, {"decode.beam": 2})
    expected = [one.output for one in translator.translate(LINES)]
    assert [item["output"] for item in outputs(directory)] == expected
    forced = translator.score(LINES, [en for _, en in CORPUS["test"]])
    nats, symbols = -sum(one.log_probability for one in forced), sum(len(one.output) + 1 for one in forced)
    assert evaluation["splits"]["test"]["metrics"]["loss"] == pytest.approx(nats / symbols, rel=1e-5)
    assert directory.parent.parent == runs[0]
    assert [one["id"] for one in evaluation["runs"]] == [path.name for path in runs]
    twice = evaluator.evaluate([runs[0], runs[0]], Evaluate(ensemble=True))[1]["splits"]["test"]["metrics"]
    assert twice == pytest.approx(records.read(runs[0])["splits"]["test"]["metrics"], rel=1e-4)


def test_averaged_checkpoints_are_those_of_the_translator(runs):
    directory, _ = evaluator.evaluate([runs[0]], Evaluate(average="last:2"))
    expected = [one.output for one in load(runs[0], average="last:2").translate(LINES)]
    assert [item["output"] for item in outputs(directory)] == expected


def test_the_id_is_that_of_what_is_evaluated_and_how(runs, tmp_path):
    (tmp_path / "a.tsv").write_text("a\tb\n")
    how = Evaluate(replace_unknown=True, dictionary=str(tmp_path / "a.tsv"))
    first, record = evaluator.evaluate([runs[1]], how)
    inode = (first / "result.json").stat().st_ino
    assert evaluator.evaluate([runs[1]], how) == (first, record)
    assert (first / "result.json").stat().st_ino == inode  # read, and not made again
    (tmp_path / "a.tsv").write_text("a\tc\n")
    assert evaluator.evaluate([runs[1]], how)[0] != first
    same = evaluator.evaluate([runs[1]], Evaluate(changes={"decode.beam": 1}))[0]
    assert same == evaluator.evaluate([runs[1]])[0]
    text = (first / "result.json").read_text()
    (first / "result.json").write_text(text.replace('"dirty"', '"dirtY"'))
    (tmp_path / "a.tsv").write_text("a\tb\n")
    with pytest.raises(ValueError, match=r"does not match its checksum; remove the file and evaluate again"):
        evaluator.evaluate([runs[1]], how)


@pytest.fixture
def edited(folder):
    """The corpus with another test target; no process-wide cache has the old one."""
    path = folder / "test.en"
    text = path.read_text()
    path.write_text(text.replace("dog", "hound"))
    for end in (False, True):
        for cached in (load_task, fingerprint, prepare):
            cached.cache_clear()
        if not end:
            yield
            path.write_text(text)


def test_changed_data_are_rejected(runs, edited):
    with pytest.raises(ValueError, match=r"are not those that .* was made with \(test differ\)"):
        evaluator.evaluate([runs[0]], Evaluate(changes={"decode.beam": 4}))


def test_the_command_prints_metrics_and_the_record(runs, folder, capsys):
    files = [str(folder / name) for name in ("test.de", "test.en", "test.gold")]
    assert main(["evaluate", str(runs[0]), "--data", *files]) == 0
    data, place = capsys.readouterr().out.splitlines()
    assert data.startswith("data: exact ") and ", word AER" not in data and "word_aer " in data
    assert place.startswith(f"evaluation: {runs[0]}/evaluations/") and place.endswith("/result.json")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--split tests", "has no split 'tests'; known: dev, test, train; did you mean test?"),
        ("--beam 0", "config field 'decode.beam' is 0, but must be at least 1"),
        ("--data {folder}/test.de", "is a source file, a target file and optionally an alignment file, not 1 files"),
        ("--data {folder}/test.de {folder}/dev.en", "test.de has 9 lines, but dev.en has 12"),
        ("--data {folder}/tset.de {folder}/test.en", "did you mean test.de?"),
        ("--average last:1", "average is 'last:1', but must be last:N or best:N"),
        ("--unknown-step reading", "--unknown-step chooses the weights of --replace-unknown, and has no effect"),
        ("--length-penalty wu", "decode.length_penalty 'wu' has no effect with decode.beam 1"),
        ("--data x --split y", "argument --split: not allowed with argument --data"),
    ],
)
def test_a_wrong_argument_is_one_sentence(runs, folder, words, message, capsys):
    before = sorted((runs[1] / "evaluations").glob("*"))
    try:
        status = main(["evaluate", str(runs[1]), *words.format(folder=folder).split()])
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert captured.err.count("\n") == 1 and message in captured.err
    assert sorted((runs[1] / "evaluations").glob("*")) == before


@pytest.mark.parametrize("words", [[], ["--data", "a", "b"]])
def test_an_unfinished_run_is_one_sentence(words, tmp_path, capsys):
    if words:
        for name in "ab":
            (tmp_path / name).write_text("a b\n")
    words = [words[0], *(str(tmp_path / name) for name in words[1:])] if words else []
    assert main(["evaluate", str(tmp_path), *words]) == 2
    assert f"{tmp_path} holds no finished run" in capsys.readouterr().err


def test_a_generated_task_reads_no_files(tmp_path, capsys):
    config = override(TINY, {"train.steps": 1, "train.evaluate_every": 1})
    run(config, tmp_path / "run")
    (tmp_path / "a.tsv").write_text("a\tb\n")
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(tmp_path / "a.tsv")]) == 2
    error = capsys.readouterr().err
    assert error.endswith("cannot read a test set from files; tasks that can: transduction, translation\n")
