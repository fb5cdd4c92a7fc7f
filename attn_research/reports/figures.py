"""Attention maps: the attention weights of every output symbol over the source symbols."""

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from attn_research import storage
from attn_research.errors import UserError
from attn_research.reports.fonts import symbol_label, text_label
from attn_research.reports.items import Item, bin_item

GOLD, WRONG, HIGHLIGHT, FAINT = "#00a39b", "#c8102e", "#0b5fa5", "#8a8a8a"
CELL = 0.19  # inches
MAX_CELLS = 80  # in a row or column of a map; symbols of longer items are grouped
MAX_PIXELS = 4000  # width or height of a PNG
SIZE = 8.5  # points
LETTER = SIZE / 72 * 0.62  # inches, average width of a letter
RATIO = 1.9  # preferred width of a page of maps relative to its height
GAP = 0.3  # cost of an empty cell of the grid; the cost of the page's shape is |log(width / height / RATIO)|
ALL = (".png", ".pdf", ".svg")  # formats of charts
MAPS = (".png", ".pdf")  # formats of attention maps
METADATA: dict[str, dict] = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
NO_ATTENTION = "no attention:\nnothing to show"
NO_OUTPUT = "no output"


def _colors() -> ListedColormap:
    """Returns matplotlib's magma, light to dark, whose first seventh fades to white: weight 0 is white."""
    shades = matplotlib.colormaps["magma_r"](np.linspace(0, 1, 256))[:, :3]
    saturation = np.clip(np.linspace(0, 7, 256), 0, 1)[:, None]
    return ListedColormap(saturation * shades + 1 - saturation)


COLORS = _colors()


def attention_maps(items: Mapping[str, Item], path: str | Path, suffixes: Sequence[str] = MAPS) -> list[Path]:
    """Draws attention maps of one test item side by side, one for each variant.

    Args:
      items: the item with each variant's output, by title (the variant's spec).
      path: path of the picture, with or without suffix.
      suffixes: of the files.

    Returns:
      The path of every file.

    Raises:
      UserError: the items have different sources, or none has an output.
    """
    if len({tuple(item.source) for item in items.values()}) != 1:
        raise UserError("the maps of a figure need one source, but these items have several")
    if not any(item.output_symbols for item in items.values()):
        raise UserError("there is no attention to draw, since the output has no symbol")
    groups = _group_sizes(list(items.values()))
    items = {title: bin_item(item, *groups) for title, item in items.items()}
    columns, size = _page(list(items.values()))
    figure = Figure(figsize=size, layout="constrained")
    grid = list(figure.subplots(math.ceil(len(items) / columns), columns, squeeze=False).ravel())
    for axes in grid[len(items) :]:
        axes.remove()
    images = [_map(axes, item, title) for axes, (title, item) in zip(grid, items.items(), strict=False)]
    _color_bar(figure, images[0], grid[: len(items)])
    _legend(figure, list(items.values()), groups)
    return save(figure, path, suffixes)


def bars(item: Item, step: int, path: str | Path, title: str = "") -> list[Path]:
    """Draws one map, and above it the weights of output step `step` (from 0) as bars.

    Returns:
      The paths of the PNG and the PDF.

    Raises:
      UserError: the step does not exist, or the run has no attention.
    """
    steps = len(item.weights)
    if not item.attends:
        raise UserError("there are no bars to draw, since the model has no attention")
    if not steps:
        raise UserError(f"there is no output step {step}, since the output has no symbol")
    if not 0 <= step < steps:
        raise UserError(f"there is no output step {step}; the steps are 0 to {steps - 1}")
    symbol, weights, groups = item.output_symbols[step], item.weights[step : step + 1], _group_sizes([item])
    weights = bin_item(Item(item.source, [symbol], weights), groups[0], 1).weights[0]
    item, row = bin_item(item, *groups), step // groups[1]
    width, height = _panel(item)
    figure = Figure(figsize=(max(width + 1.2, 5), height + 2), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[1.2, height], sharex=True)
    image = _map(below, item, "")
    below.add_patch(
        Rectangle((-0.5, row - 0.5), len(item.source), 1, fill=False, edgecolor=HIGHLIGHT, linewidth=1.8, zorder=4)
    )
    _bars(above, weights, image)
    caption = f"{title}{': ' if title else ''}weights when writing ‘{symbol_label(symbol).text}’"
    text_label(caption).apply_to(above.title, SIZE + 1)
    _color_bar(figure, image, [below])
    _legend(figure, [item], groups)
    return save(figure, path)


def save(figure: Figure, path: str | Path, suffixes: Sequence[str] = MAPS) -> list[Path]:
    """Writes a figure atomically, by default as PNG and PDF. Equal figures give equal files, byte for byte."""
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in METADATA else path
    dpi = min(200, MAX_PIXELS / max(figure.get_size_inches()))
    paths = [stem.with_name(stem.name + suffix) for suffix in suffixes]
    for result in paths:
        buffer = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": stem.name}):
            figure.savefig(buffer, dpi=dpi, format=result.suffix[1:], metadata=METADATA[result.suffix])
        storage.write(result, buffer.getvalue())
    return paths


def _group_sizes(items: Sequence[Item]) -> tuple[int, int]:
    """Returns the number of source and of output symbols in a cell, so that no map exceeds MAX_CELLS."""
    source, output = (
        max(map(len, s)) for s in zip(*((item.source, item.output_symbols) for item in items), strict=True)
    )
    return max(1, math.ceil(source / MAX_CELLS)), max(1, math.ceil(output / MAX_CELLS))


def _page(items: Sequence[Item]) -> tuple[int, tuple[float, float]]:
    """Returns the columns of the grid of maps and the page size in inches, with few gaps and a ratio near RATIO."""
    widths, heights = zip(*map(_panel, items), strict=True)

    def size(columns: int) -> tuple[float, float]:
        return columns * max(widths) + 0.9, math.ceil(len(items) / columns) * max(heights) + 0.3

    def cost(columns: int) -> float:
        width, height = size(columns)
        return abs(math.log(width / height / RATIO)) + GAP * (-len(items) % columns)

    best = min(range(1, len(items) + 1), key=cost)
    return best, size(best)


def _panel(item: Item) -> tuple[float, float]:
    """Returns width and height of one map with its labels, in inches."""
    above, beside = (
        max((symbol_label(symbol).width for symbol in s), default=0) * LETTER
        for s in (item.source, item.output_symbols)
    )
    return len(item.source) * CELL + beside + 0.3, len(item.output_symbols) * CELL + above + 0.5


def _map(axes: Axes, item: Item, title: str) -> AxesImage:
    """Draws source symbols from left to right and output symbols from top to bottom."""
    has_weights = item.attends and item.output_symbols
    weights = item.weights if has_weights else np.zeros((max(1, len(item.output_symbols)), len(item.source)))
    image = axes.imshow(weights, cmap=COLORS, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    _ticks(axes, item)
    if title:
        lines = textwrap.wrap(title, max(12, int(len(item.source) * CELL / LETTER)))
        text_label("\n".join(lines)).apply_to(axes.title, SIZE + 1)
    if has_weights:
        axes.add_collection(LineCollection(_outline(item.alignment), colors=GOLD, linewidths=1.2, zorder=3))
    else:
        image.set_visible(False)
        axes.set_facecolor("#f2f2f2")
        middle = axes.text(0.5, 0.5, "", transform=axes.transAxes, ha="center", va="center")
        text_label(NO_OUTPUT if item.attends else NO_ATTENTION).apply_to(middle, SIZE, color=FAINT)
    return image


def _ticks(axes: Axes, item: Item) -> None:
    """Labels the source symbols above and the output symbols on the left, wrong ones in red."""
    axes.tick_params(length=0, pad=5, labeltop=True, labelbottom=False)
    axes.spines[:].set_color(FAINT)
    above, beside = [[*map(symbol_label, symbols)] for symbols in (item.source, item.output_symbols)]
    axes.set_xticks(range(len(above)), [label.text for label in above])
    axes.set_yticks(range(len(beside)), [label.text for label in beside])
    for text, label in zip(axes.get_xticklabels(), above, strict=True):
        is_rotated = label.width > 1
        label.apply_to(text, SIZE, rotation=90 * is_rotated, va="bottom" if is_rotated else "baseline")
    for step, (text, label) in enumerate(zip(axes.get_yticklabels(), beside, strict=True)):
        label.apply_to(text, SIZE, color=WRONG if step in item.wrong else "black")


def _bars(axes: Axes, weights: np.ndarray, image: AxesImage) -> None:
    """Draws a bar for each weight, in the colors of the map, with the number of the largest."""
    colors = image.cmap(image.norm(weights))
    axes.bar(range(len(weights)), weights, width=0.8, color=colors, edgecolor=FAINT, linewidth=0.5)
    largest = int(np.argmax(weights))
    above = axes.annotate("", (largest, weights[largest]), (0, 2), textcoords="offset points", ha="center")
    text_label(f"{weights[largest]:.2f}").apply_to(above, SIZE - 1)
    axes.set_ylim(0, max(1.2 * weights[largest], 0.01))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(axis="y", labelsize=SIZE - 1.5)
    axes.tick_params(axis="x", length=0, labelbottom=False)
    axes.spines[["top", "right"]].set_visible(False)


def _outline(cells: Sequence[tuple[int, int]]) -> list[list[tuple[float, float]]]:
    """Returns the outline of cells (x, y): the sides that belong to only one of them, as lines."""
    inside = set(cells)
    lines = []
    for x, y in inside:
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            if (x + dx, y + dy) not in inside:
                middle = (x + dx / 2, y + dy / 2)
                lines.append([(middle[0] - dy / 2, middle[1] - dx / 2), (middle[0] + dy / 2, middle[1] + dx / 2)])
    return lines


def _color_bar(figure: Figure, image: AxesImage, beside: Sequence[Axes]) -> None:
    bar = figure.colorbar(image, ax=beside, ticks=[0, 0.5, 1], pad=0.01, aspect=30, fraction=0.03)
    bar.ax.tick_params(labelsize=SIZE - 1.5, length=2)
    text_label("attention weight").apply_to(bar.ax.yaxis.label, SIZE)
    bar.outline.set_edgecolor(FAINT)


def _legend(figure: Figure, items: Sequence[Item], groups: tuple[int, int]) -> None:
    """Explains axes, groups, outlines and colors."""
    parts = ["columns: source, rows: output"]
    if groups != (1, 1):
        parts.append(f"a cell: sum over {groups[0]} source symbols, mean over {groups[1]} output symbols, from 0")
    if any(item.alignment for item in items):
        parts.append("outlined: gold alignment")
    if any(item.wrong for item in items):
        parts.append("red: differs from the reference")
    text_label("   ·   ".join(parts)).apply_to(figure.supxlabel(""), SIZE - 0.5, color="#555555")
