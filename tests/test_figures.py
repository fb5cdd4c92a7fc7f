import json
import struct
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_research.reports.figures import MAX_PIXELS, _outline, _page, attention_maps, bars
from attn_research.reports.items import Item, bin_item, load_item

SOURCE = ["<ko>", "9", "월", " ", "วั", "श", "$x_1$", "\u200f"]


def item(random=0, output="0-9", source=SOURCE, attends=True, **more):
    weights = np.random.default_rng(random).random((len(output) + 1, len(source)))
    weights /= weights.sum(axis=1, keepdims=True)
    return Item(source, list(output), weights if attends else weights[:, :0], **more)


def test_maps_are_reproducible_png_and_pdf_files(tmp_path):
    items = {
        "dot": item(references=[list("0-9")], alignment=[(1, 2), (2, 2)]),
        'none(feed="input")': item(output="1-9", attends=False, references=[list("0-9")]),
        "my_scores.py:cosine(scale=true, temperature=0.5)": item(2),
    }
    result = attention_maps(items, tmp_path / "deep" / "maps.v1")
    assert [path.name for path in result] == ["maps.v1.png", "maps.v1.pdf"]
    again = attention_maps(items, tmp_path / "again.png")
    assert [path.read_bytes() for path in result] == [path.read_bytes() for path in again]
    assert result[0].read_bytes().startswith(b"\x89PNG") and result[1].read_bytes().startswith(b"%PDF")


def test_maps_of_two_sources_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="need one source"):
        attention_maps({"dot": item(), "general": item(source=list("12345678"))}, tmp_path / "maps")
    assert not list(tmp_path.iterdir())


def test_bars_show_one_step(tmp_path):
    one, other = (bars(item(), step, tmp_path / f"bars{step}", title="dot") for step in (0, 3))
    assert one[0].read_bytes() != other[0].read_bytes()


def test_bars_need_a_step_and_attention(tmp_path):
    with pytest.raises(ValueError, match="no output step 4; the steps are 0 to 3"):
        bars(item(), 4, tmp_path / "bars")
    with pytest.raises(ValueError, match="no attention"):
        bars(item(attends=False), 0, tmp_path / "bars")


def test_an_output_without_symbols_cannot_be_drawn(tmp_path):
    nothing = Item(SOURCE, [], np.zeros((0, len(SOURCE))))
    for draw in (lambda: attention_maps({"": nothing}, tmp_path / "map"), lambda: bars(nothing, 0, tmp_path / "bars")):
        with pytest.raises(ValueError, match="the output has no symbol"):
            draw()
    only_the_end = Item(SOURCE, [], np.full((1, len(SOURCE)), 1 / len(SOURCE)))
    assert len(attention_maps({"ends": only_the_end, "nothing": nothing}, tmp_path / "maps")) == 2
    assert len(bars(only_the_end, 0, tmp_path / "bars")) == 2


@pytest.mark.parametrize("attends", [True, False])
def test_a_long_map_fits_the_screen(tmp_path, attends):
    long = item(output="x" * 599, source=["y"] * 700, attends=attends, alignment=[(0, 0), (699, 598)])
    result = [attention_maps({"one": long, "two": long}, tmp_path / "maps")]
    result += [bars(long, 599, tmp_path / "bars")] if attends else []
    for png, _ in result:
        width, height = struct.unpack(">II", png.read_bytes()[16:24])
        assert max(width, height) <= MAX_PIXELS


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 20), st.integers(0, 20))
def test_groups_keep_the_weight_of_every_step(source, output, symbols, steps):
    one = item(output="x" * steps, source=["y"] * symbols, alignment=[(symbols - 1, steps)])
    grouped = bin_item(one, source, output)
    assert grouped.weights.shape == (-(-(steps + 1) // output), -(-symbols // source))
    np.testing.assert_allclose(grouped.weights.sum(1), 1)
    assert len(grouped.output_symbols) == len(grouped.weights) and len(grouped.source) == grouped.weights.shape[1]
    np.testing.assert_allclose(grouped.weights[0, 0], one.weights[:output, :source].sum(1).mean())
    if (source, output) != (1, 1):
        assert list(grouped.alignment) == [((symbols - 1) // source, steps // output)]


@pytest.mark.parametrize(("source", "maps", "columns"), [(18, 6, 3), (18, 4, 2), (60, 3, 1), (5, 1, 1), (27, 6, 2)])
def test_a_page_of_maps_is_wide_with_few_gaps(source, maps, columns):
    assert _page([item(output="2013-09-21", source=["x"] * source)] * maps)[0] == columns


@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4))))
def test_the_outline_goes_around_the_gold_cells(cells):
    lines = [tuple(sorted(line)) for line in _outline(list(cells))]
    sides = Counter(
        tuple(sorted(side))
        for x, y in cells
        for left, right, top, bottom in [(x - 0.5, x + 0.5, y - 0.5, y + 0.5)]
        for side in (
            [(left, top), (right, top)],
            [(left, bottom), (right, bottom)],
            [(left, top), (left, bottom)],
            [(right, top), (right, bottom)],
        )
    )
    assert sorted(lines) == sorted(side for side, count in sides.items() if count == 1)


@pytest.mark.parametrize(
    ("output", "references", "wrong"),
    [
        ("0-9", ["0-9"], set()),
        ("0-9", ["0-8", "0-9"], set()),
        ("0-9", ["1-8", "0-8"], {2}),
        ("0-9", ["0-"], {2, 3}),
        ("0-", ["0-9"], {2}),
        ("0-9", [], set()),
    ],
)
def test_wrong_steps_differ_from_the_closest_reference(output, references, wrong):
    assert item(output=output, references=[list(reference) for reference in references]).wrong == wrong


def test_a_truncated_output_has_no_end_symbol():
    cut = Item(["a"], ["b", "c"], np.ones((2, 1)), [["b", "c"]])
    assert cut.output_symbols == ["b", "c"] and cut.wrong == set()
    assert item().output_symbols == ["0", "-", "9", "</s>"]


def written_run(directory, **more):
    (directory / "outputs").mkdir()
    line = {"source": ["a", "한"], "references": [["b"]], "output": ["b"]} | more
    (directory / "outputs/test.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    np.savez(directory / "outputs/attention.npz", **{"0": np.full((2, 2), 0.5)})
    return directory


def test_an_item_of_a_run_loads(tmp_path):
    stored = load_item(written_run(tmp_path, alignment=[[1, 0]]), 0)
    assert stored.source == ["a", "한"] and stored.output == ["b"] and stored.alignment == [(1, 0)]
    assert stored.weights.shape == (2, 2) and stored.wrong == set()


def test_an_item_without_gold_alignment_loads(tmp_path):
    assert load_item(written_run(tmp_path), 0).alignment == ()


def test_a_missing_item_is_reported(tmp_path):
    with pytest.raises(ValueError, match=r"there is no .*test\.jsonl, so the run is not finished"):
        load_item(tmp_path, 0)
    with pytest.raises(ValueError, match="items 0 to 0, but not of item 1"):
        load_item(written_run(tmp_path), 1)
