"""A long line does not take gigabytes: it is reported, or computed with fewer other rows."""

import numpy as np
import pytest
from small_models import write_untrained_run

from attn_research.cli import main
from attn_research.config import Data, Decode
from attn_research.decoding.outputs import MEMORY, rows_at_once
from attn_research.errors import UserError
from attn_research.registry import Spec
from attn_research.training import evaluate
from attn_research.training.prepare import prepare
from attn_research.translator import load


def write_words(folder, long: int) -> Spec:
    """Writes words and their letters; the second word of dev has `long` letters."""
    for split in ("train", "dev", "test"):
        words = ["ab", "a" * long] if split == "dev" else ["ab", "ba"]
        folder.joinpath(f"{split}.tsv").write_text("".join(f"{word}\t{' '.join(word)}\n" for word in words))
    return Spec(f'transduction(path="{folder}")')


@pytest.mark.parametrize(("long", "batch_size"), [(3000, 64), (800, 512)])
def test_a_line_too_long_for_its_batch_is_reported_before_training(tmp_path, long, batch_size):
    task = write_words(tmp_path, long)
    with pytest.raises(UserError, match=rf"^dev.tsv:2 has {long} source and {long + 1} target symbols"):
        prepare(Data(task=task, batch_size=batch_size))
    assert prepare(Data(task=task, batch_size=batch_size // 32)).splits["dev"].shapes[-1] == (long, long + 1)


def test_a_short_source_does_not_hide_a_long_target(tmp_path):
    task = write_words(tmp_path, 9)
    (tmp_path / "train.tsv").write_text("abababab\ta b\nba\tb a\n")
    (tmp_path / "dev.tsv").write_text(f"ab\ta b\nba\t{'b ' * 300_000}\n")
    with pytest.raises(UserError, match=r"^dev.tsv:2 has 2 source and 300001 target symbols"):
        prepare(Data(task=task, batch_size=512))


def test_long_shapes_are_evaluated_with_fewer_rows_at_once(tmp_path):
    split = prepare(Data(task=write_words(tmp_path, 1500), batch_size=32)).splits["dev"]
    decode = Decode(beam=2)
    output = list(evaluate._batches(split, 5, 32, decode))
    assert sorted(np.concatenate([rows for _, rows in output])) == [0, 1]
    sizes = {batch.source.shape[1]: len(batch.source) for batch, _ in output}
    assert sizes == {2: 32, 1500: rows_at_once(decode, 1500)}
    assert 4 * sizes[1500] * 1500 * 3010 * 2 <= MEMORY


def test_a_too_long_line_has_an_empty_output(run, tmp_path, capsys):
    (tmp_path / "short.txt").write_text("a b\nc\n")
    (tmp_path / "lines.txt").write_text("a b\n" + "a " * 20_000 + "\nc\n")
    assert main(["translate", str(run), "--input", str(tmp_path / "short.txt")]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert main(["translate", str(run), "--input", str(tmp_path / "lines.txt")]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [first, "", second]
    assert "lines.txt:2 has 20000 symbols, but at most" in captured.err


def test_a_source_over_the_scores_limit_is_reported_with_its_line(tmp_path, capsys):
    directory = write_untrained_run(tmp_path, score="location(max_length=3)")
    (tmp_path / "lines.txt").write_text("a b c\na b c d\n")
    message = "has 4 symbols, but score location(max_length=3) allows at most 3"
    assert main(["translate", str(directory), "--input", str(tmp_path / "lines.txt")]) == 1
    assert f"lines.txt:2 {message}, so its output is empty" in capsys.readouterr().err
    with pytest.raises(UserError) as caught:
        load(directory).translate(["a b c", "a b c d"])
    assert str(caught.value) == f"source 1 {message}"
