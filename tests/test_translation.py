"""A translation task from files to records, tables and translated lines."""

import json

import numpy as np
import pytest
import sacrebleu
from toy_corpus import corpus, write_text

from attn_research.cli import main
from attn_research.config import Config, flatten, override
from attn_research.metrics import METRICS, Comparison, Scores, score_texts
from attn_research.reports.columns import column
from attn_research.reports.tables import Table
from attn_research.runs import records
from attn_research.runs.records import unpack
from attn_research.training.loop import load_data, run
from attn_research.translator import load

OUTPUTS = ["The cat sat on the mat.", "A dog runs", "", "Two men are, um, here!"]
REFERENCES = [["The cat sat on a mat."], ["A dog is running."], ["Nothing."], ["two men are here."]]
SIGNATURES = {
    "bleu": "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" + sacrebleu.__version__,
    "bleu_lc": "nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:" + sacrebleu.__version__,
    "chrf": "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:" + sacrebleu.__version__,
    "ter": "nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:" + sacrebleu.__version__,
}


def corpus_scores(outputs, references):
    streams = [list(stream) for stream in zip(*references, strict=True)]
    return {
        "bleu": sacrebleu.corpus_bleu(outputs, streams).score,
        "bleu_lc": sacrebleu.corpus_bleu(outputs, streams, lowercase=True).score,
        "chrf": sacrebleu.corpus_chrf(outputs, streams).score,
        "ter": sacrebleu.corpus_ter(outputs, streams).score,
    }


@pytest.mark.parametrize("references", [REFERENCES, [[*right, "A dog runs here."] for right in REFERENCES]])
def test_scores_equal_those_of_sacrebleu(references):
    items, _ = score_texts(OUTPUTS, references)
    values = {name: METRICS[name].value(*parts) for name, parts in items.items()}
    assert values == pytest.approx(corpus_scores(OUTPUTS, references) | {"exact": 0.0})
    assert score_texts(["a", "b"], [["a"], ["B"]])[0]["exact"][0].tolist() == [1, 0]


def test_items_have_all_parts_and_signatures_equal_sacrebleus():
    items, signatures = score_texts(OUTPUTS, REFERENCES)
    assert signatures == SIGNATURES
    assert {name: len(parts) for name, parts in items.items()} == {n: len(METRICS[n].parts) for n in items}
    words = dict(zip(METRICS["bleu"].parts, items["bleu"], strict=True))
    assert words["output"].tolist() == [7, 3, 0, 8] and words["reference"].tolist() == [7, 5, 2, 5]
    assert dict(zip(METRICS["ter"].parts, map(list, items["ter"]), strict=True)) == {
        "edits": [1, 2, 1, 3],  # the -> a; two words missing; `Nothing.`; `um,` and two words with punctuation
        "reference": [6, 4, 1, 4],
    }
    assert words["written1"].tolist() == words["output"].tolist() and words["right1"].tolist() == [6, 2, 0, 3]


def test_the_score_of_summed_parts_equals_that_of_the_items():
    drawn = [0, 0, 3, 1]
    items, _ = score_texts(OUTPUTS, REFERENCES)
    for name, score in corpus_scores([OUTPUTS[i] for i in drawn], [REFERENCES[i] for i in drawn]).items():
        sums = [np.full((2, 1), part[drawn].sum(), float) for part in items[name]]
        assert METRICS[name].finish(*sums) == pytest.approx(np.full((2, 1), score))


def test_ter_averages_the_lengths_of_different_numbers_of_references():
    """Sacrebleu reads the same number of references for every line, so the expected score is by hand."""
    items, _ = score_texts(["a b c", "x"], [["a b c", "a b", "a"], ["y z", "y"]])
    edits, lengths = items["ter"]
    assert edits.tolist() == [0, 6] and lengths.tolist() == [12, 9]  # 0 and 1, 2 and 1.5, all times 6
    assert METRICS["ter"].value(edits, lengths) == pytest.approx(100 / 3.5)


def test_ter_of_many_references_fits_into_a_record():
    items, _ = score_texts(["a " * 40] * 12, [["b " * 40] * count for count in range(1, 13)])
    assert all(part.max() < 2**16 for part in items["ter"])
    assert METRICS["ter"].value(*items["ter"]) == pytest.approx(100)


def test_the_bootstrap_distinguishes_good_from_bad_translations():
    right = [en for _, en in corpus()["train"][:60]]
    references = [[line] for line in right]
    worse = [line.rsplit(" ", 2)[0] + " zebra" for line in right]

    def scores(outputs):
        parts = score_texts(outputs, references)[0]["bleu"]
        return Scores((0, 1, 2), tuple(np.stack([part] * 3) for part in parts))

    both = Comparison(METRICS["bleu"], {"right": scores(right), "worse": scores(worse)})
    assert both.means["right"] == pytest.approx(100)
    assert both.means["worse"] == pytest.approx(corpus_scores(worse, references)["bleu"])
    low, high = both.interval("worse")
    assert 0 < low < both.means["worse"] < high < 100
    assert both.best == "right" and both.tied == set()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder, directory = tmp_path_factory.mktemp("corpus"), tmp_path_factory.mktemp("run")
    write_text(folder, corpus(), compress=True)
    changes = {
        "data.task": f'translation(path="{folder}", vocabulary=60)', "data.batch_size": 8, "data.shapes": 1,
        "model.embedding": 4, "model.encoder.hidden": 4, "model.decoder.hidden": 4, "train.select": "bleu",
        "train.steps": 3, "train.evaluate_every": 3, "decode.ratio": 1.0, "decode.extra": 3, "decode.beam": 2,
    }  # fmt: skip
    config = override(Config(), changes)
    return config, directory, run(config, directory)


def test_the_record_has_scores_signatures_and_item_parts(trained):
    _, directory, record = trained
    test = records.read(directory)["splits"]["test"]
    assert test == record["splits"]["test"] and test["signatures"] == SIGNATURES
    lines = [json.loads(line) for line in (directory / "outputs" / "test.jsonl").read_text().splitlines()]
    assert [line["raw"] for line in lines] == [[en] for _, en in corpus()["test"]]
    expected = corpus_scores([line["text"] for line in lines], [line["raw"] for line in lines])
    assert {name: test["metrics"][name] for name in expected} == pytest.approx(expected)
    stored = {name: [unpack(test["items"][name][part]) for part in METRICS[name].parts] for name in expected}
    assert {name: METRICS[name].value(*parts) for name, parts in stored.items()} == pytest.approx(expected)
    assert {"wer", "per"}.isdisjoint(test["metrics"])


def test_a_table_prints_the_score_and_its_signature(trained):
    _, _, record = trained
    record = record | {"idle": True}
    built = Table(row="model.attention.score", columns=("test/bleu", "test/chrf"), title="").build({"dot": [record]})
    assert column("test/bleu").header == "test BLEU ↑"
    text = built.render("md")
    assert (
        f"BLEU by sacrebleu: `{SIGNATURES['bleu']}`." in text and f"chrF by sacrebleu: `{SIGNATURES['chrf']}`." in text
    )


def test_translate_uses_the_segmentation_of_the_run(trained, tmp_path, capsys):
    config, directory, _ = trained
    lines = [de for de, _ in corpus()["test"]]
    (tmp_path / "lines.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    assert main(["translate", str(directory), "--input", str(tmp_path / "lines.txt")]) == 0
    stored = [json.loads(line)["text"] for line in (directory / "outputs" / "test.jsonl").read_text().splitlines()]
    assert capsys.readouterr().out.splitlines() == stored
    translator, prepared = load(directory), load_data(config)
    assert [translator.split(line) for line in lines] == prepared.splits["test"].column("source")


def test_dropped_training_pairs_are_one_line_of_output(trained, tmp_path, capsys):
    write_text(tmp_path, corpus() | {"train": [("", "Nothing."), *corpus()["train"]]})
    changed = flatten(trained[0]) | {"data.task": f"translation(path={str(tmp_path)!r})", "train.steps": 1}
    (tmp_path / "config.py").write_text(f"from attn_research.config import unflatten\nconfig = unflatten({changed})\n")
    assert main(["train", str(tmp_path / "config.py"), "--runs", str(tmp_path / "runs")]) == 0
    warnings = capsys.readouterr().err.splitlines()
    assert (
        "attn-research: train.de and train.en: 1 of 121 pairs have an empty line and are left out (line 1)" in warnings
    )


@pytest.mark.parametrize(
    ("task", "select", "known"),
    [
        ("", "wer", "bleu, bleu_lc, chrf, exact"),
        ("copy(train=20, test=5)", "bleu", "edits, exact, loss, per, per_mean"),
    ],
)
def test_an_unmeasured_selection_metric_is_rejected(trained, task, select, known):
    config = override(trained[0], {"train.select": select} | ({"data.task": task} if task else {}))
    with pytest.raises(ValueError, match=f"train.select is '{select}', which is not measured on .*; known: {known}"):
        load_data(config)
