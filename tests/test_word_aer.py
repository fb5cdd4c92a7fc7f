"""Word AER from a corpus with gold links to the record and the table of a run."""

import numpy as np
import pytest
from toy_corpus import corpus, write_text

from attn_research.config import Config, Data, override
from attn_research.data.task import load
from attn_research.metrics import METRICS, alignment
from attn_research.registry import Spec
from attn_research.reports.tables import Table
from attn_research.runs.records import unpack
from attn_research.training.loop import load_data, run
from attn_research.training.prepare import prepare
from attn_research.training.word_alignment import score_words, word_weights

CORPUS = corpus()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The toy corpus, which translates word by word; the last word of every test pair is a possible link."""
    path = tmp_path_factory.mktemp("corpus")
    write_text(path, CORPUS)
    links = [[f"{i}-{i}" for i in range(len(de.split()))] for de, _ in CORPUS["test"]]
    lines = (" ".join([*line[:-1], line[-1].replace("-", "?")]) for line in links)
    (path / "test.gold").write_text("".join(f"{line}\n" for line in lines))
    yield path
    load.cache_clear()


def task(folder, units="subwords"):
    return f'translation(path="{folder}", vocabulary=40, units={units!r}, align="gold")'


def perfect_weights(split):
    """Returns weights that are equal on all symbols of the right word, and on the first symbol for EOS."""
    weights = []
    for source, target in zip(split.column("source_words"), split.column("target_words"), strict=True):
        right = np.equal.outer([*target, 0], source).astype(np.float32)
        weights.append(right / right.sum(-1, keepdims=True))
    return weights


def values(parts):
    return {name: METRICS[name].value(*counts) for name, counts in parts.items()}


@pytest.mark.parametrize("units", ["words", "subwords"])
def test_weights_on_the_right_words_have_no_error(folder, units):
    split = prepare(Data(task=Spec(task(folder, units)), shapes=1)).splits["test"]
    weights = perfect_weights(split)
    at_step = values(score_words(split, word_weights(split, weights)))
    perfect = {"word_aer": 0, "word_precision": 1, "word_recall": 1, "word_f1": 1}
    assert {name: at_step[name] for name in perfect} == perfect
    later = [np.concatenate([item[-1:], item[:-1]]) for item in weights]
    at_next_step = values(score_words(split, word_weights(split, later)))
    assert at_next_step["word_aer_next"] == 0
    if units == "words":  # the mean over three subwords hides a shift by one
        assert at_step["word_aer_next"] > 0.2 and at_next_step["word_aer"] > 0.2


def test_a_split_without_words_links_its_symbols(folder):
    split = prepare(Data(task=Spec(task(folder, "words")), shapes=1)).splits["test"]
    names = [name for name in split.data.column_names if not name.endswith("_words")]
    plain = split._replace(data=split.data.select(names))
    sizes = zip(split.encoded.target.lengths, split.encoded.source.lengths, strict=True)
    weights = [np.full(size, 0.5, np.float32) for size in sizes]
    merged = word_weights(plain, weights).predicting
    assert [item.shape for item in merged] == [(t - 1, s) for t, s in (item.shape for item in weights)]


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    changes = {
        "data.task": task(folder), "data.batch_size": 8, "data.shapes": 1, "model.attention.score": "general",
        "model.embedding": 4, "model.encoder.hidden": 4, "model.decoder.hidden": 4,
        "train.steps": 3, "train.evaluate_every": 3, "decode.ratio": 1.0, "decode.extra": 3,
    }  # fmt: skip
    directory = tmp_path_factory.mktemp("run")
    config = override(Config(), changes)
    return config, directory, run(config, directory)


def test_the_record_has_link_counts_of_every_item(trained):
    config, directory, record = trained
    test, names = record["splits"]["test"], {name for name in METRICS if name.startswith("word_")}
    assert names <= set(test["metrics"]) and names.isdisjoint(record["splits"]["dev"]["metrics"])
    split = load_data(config).splits["test"]
    for name, convention in (("word_aer", "predicting"), ("word_aer_next", "reading")):
        counts = [unpack(test["items"][name][part]) for part in METRICS[name].parts]
        assert test["metrics"][name] == METRICS[name].value(*counts)
        assert counts[1].tolist() == list(map(len, split.column("sure")))
        assert counts[0].tolist() == [len(en.split()) for _, en in CORPUS["test"]]  # one link for each target word
        weights = np.load(directory / "outputs" / f"test_word_weights_{convention}.npz")
        links = [alignment.argmax_links(weights[str(item)]) for item in range(len(split.data))]
        gold = (
            [alignment.link_matrix(item, one.shape) for item, one in zip(split.column(kind), links, strict=True)]
            for kind in ("sure", "possible")
        )
        expected = map(alignment.count_links, links, *gold)
        assert np.array(counts).T.tolist() == list(map(list, expected))


def test_a_table_prints_word_aer_with_an_interval(trained):
    columns = ("test/word_aer", "test/word_aer_next", "test/word_f1", "test/effective_support")
    built = Table("model.attention.score", columns).build({"general": [trained[2] | {"seed": 0}]})
    assert [column.header for column in built.columns] == [
        "test word AER, % ↓", "test word AER of the next step, % ↓", "test word link F1, % ↑", "test effective support",
    ]  # fmt: skip
    cells = built.rows["general"]
    assert all(cell.interval for cell in cells[:3]) and cells[3].interval is None
