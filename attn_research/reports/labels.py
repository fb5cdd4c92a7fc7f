"""Places direct labels beside the points of a plot, so that they cover neither each other nor the data."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text

DISTANCES = (5, 8, 13, 20, 29, 40, 54, 70)  # points, from a marker to its label
DIRECTIONS = tuple(math.radians(angle) for angle in range(0, 360, 15))
LEADER_FROM = 9  # points: the distance from which a line leads to the label
MARGIN = 1.5  # points around a label
MARKER = 2.0  # points, radius of a marker
ROUNDS = 4  # times that every label is placed again
# Costs of a place: of the share of the label that another label or the frame hides, of a covered data point, of another
# marker that is nearer than the label's own, of a data point on the line to the label, and of a point of distance.
OVERLAP, COVERED, AMBIGUOUS, CROSSED, FAR = 100.0, 3.0, 1.5, 0.5, 0.06


Box = tuple[float, float, float, float]  # left, bottom, right, top


class Place(NamedTuple):
    """A place of a label: its box in pixels, and its distance from the marker in points."""

    box: Box
    distance: float


def place_labels(
    axes: Axes, labels: Sequence[Text], anchors: np.ndarray, markers: np.ndarray, lines: np.ndarray
) -> None:
    """Moves every label to a free place beside its anchor, and draws a line to a label that is not next to it.

    The figure must be drawn before, so that the axes have their final place.

    Args:
      labels: texts with their final content and font.
      anchors: [n 2] the point that each label names, in data coordinates.
      markers: [m 2] all markers of the plot, which labels should not cover, in data coordinates.
      lines: [l 2] points on lines that labels should not cover, in data coordinates.
    """
    pixel = axes.figure.dpi / 72
    sizes, frame = [label.get_window_extent() for label in labels], axes.get_window_extent()
    centers, markers, lines = map(axes.transData.transform, (anchors, markers, lines))
    options = [_places(center, size.width, size.height, pixel) for center, size in zip(centers, sizes, strict=True)]
    frame_box = (frame.x0, frame.y0, frame.x1, frame.y1)
    fixed = [
        [_fixed_cost(place, center, frame_box, markers, lines, pixel) for place in places]
        for center, places in zip(centers, options, strict=True)
    ]
    chosen = _choose(options, fixed)
    for label, center, place in zip(labels, centers, chosen, strict=True):
        _move(axes, label, center, place)


def _places(center: np.ndarray, width: float, height: float, pixel: float) -> list[Place]:
    """Returns the places around a marker: the nearest point of the label's box has the distance from the marker."""
    places = []
    for distance, angle in itertools.product(DISTANCES, DIRECTIONS):
        x, y = math.cos(angle), math.sin(angle)
        middle_x = center[0] + x * distance * pixel + _toward(x) * width / 2
        middle_y = center[1] + y * distance * pixel + _toward(y) * height / 2
        margin = MARGIN * pixel
        box = (
            middle_x - width / 2 - margin,
            middle_y - height / 2 - margin,
            middle_x + width / 2 + margin,
            middle_y + height / 2 + margin,
        )
        places.append(Place(box, distance))
    return places


def _toward(part: float) -> float:
    """Returns the side of a box on which it lies beside its marker: -1, 1 or, near the axis, a value between them."""
    return max(-1.0, min(1.0, 2 * part))


def _fixed_cost(
    place: Place, center: np.ndarray, frame: Box, markers: np.ndarray, lines: np.ndarray, pixel: float
) -> float:
    """Returns the cost of a place without the other labels."""
    left, bottom, right, top = place.box
    outside = 1 - _overlap(place.box, frame) / ((right - left) * (top - bottom))
    gaps = _gaps(place.box, markers) / pixel
    covered = (gaps < MARKER).sum() + (_gaps(place.box, lines) == 0).sum()
    nearer = ((gaps < place.distance) & (gaps >= MARKER)).sum()
    crossed = _count_crossed(center, place, np.concatenate([markers, lines]), pixel)
    return FAR * place.distance + COVERED * covered + AMBIGUOUS * nearer + CROSSED * crossed + 10 * OVERLAP * outside


def _count_crossed(center: np.ndarray, place: Place, points: np.ndarray, pixel: float) -> int:
    """Returns the number of points, other than the label's own, on the line from a marker to its label."""
    if place.distance < LEADER_FROM:
        return 0
    line = np.clip(center, place.box[:2], place.box[2:]) - center
    length = np.hypot(*line)
    along, across = (points - center) @ line / length, (points - center) @ (line[::-1] * (-1, 1)) / length
    return int(((MARKER * pixel < along) & (along < length) & (np.abs(across) < MARKER * pixel)).sum())


def _gaps(box: Box, points: np.ndarray) -> np.ndarray:
    """Returns the distance of each point from a box, 0 inside of it."""
    nearest = np.clip(points, box[:2], box[2:])
    return np.hypot(*(points - nearest).T)


def _overlap(a: Box, b: Box) -> float:
    """Returns the area that two boxes share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _choose(options: Sequence[Sequence[Place]], fixed: Sequence[Sequence[float]]) -> list[Place]:
    """Returns the cheapest place for each label in turn, and again while others have moved."""
    chosen: dict[int, Place] = {}
    for i in [*range(len(options))] * ROUNDS:
        others = [place.box for j, place in chosen.items() if j != i]
        costs = [
            cost + sum(OVERLAP * _hidden(place.box, other) for other in others)
            for place, cost in zip(options[i], fixed[i], strict=True)
        ]
        chosen[i] = options[i][int(np.argmin(costs))]
    return [chosen[i] for i in range(len(options))]


def _hidden(box: Box, other: Box) -> float:
    """Returns the share of the smaller box that the other one covers, and at least 0.1 if they touch."""
    area = min((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other))
    share = _overlap(box, other) / area
    return max(share, 0.1) if share else 0.0


def _move(axes: Axes, label: Text, center: np.ndarray, place: Place) -> None:
    left, bottom, right, top = place.box
    inverse = axes.transData.inverted()
    label.set(position=inverse.transform(((left + right) / 2, (bottom + top) / 2)), ha="center", va="center")
    if place.distance >= LEADER_FROM:
        margin = MARGIN * axes.figure.dpi / 72
        nearest = np.clip(center, (left + margin, bottom + margin), (right - margin, top - margin))
        ends = inverse.transform([center, nearest])
        axes.plot(*ends.T, color=label.get_color(), linewidth=0.5, alpha=0.7, zorder=2.5, scalex=False, scaley=False)
