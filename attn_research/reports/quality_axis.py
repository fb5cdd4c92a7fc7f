"""The axis of a quality: linear, or logarithmic in the distance from the best possible value."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from attn_research.metrics import Metric

RESOLUTION = 0.005  # the least width of the linear part, as a share of the metric's range
GAIN = 1.5  # an axis is logarithmic if the middle half of the rows then fills this many times more of it
DISTANCES = (0, *(digit * 10.0**exponent for exponent in range(-3, 4) for digit in (1, 2, 5)))  # of ticks
MIN_GAP = 0.045  # between two ticks, as a share of the axis
MARGIN = 0.04  # beyond the rows, as a share of the axis


class LogScale(NamedTuple):
    """A scale that tells good rows apart although others are much worse."""

    best: float
    worst: float
    width: float  # of the linear part beside `best`
    lower_is_better: bool

    @classmethod
    def of(cls, values: Sequence[float], metric: Metric) -> "LogScale | None":
        """Returns the scale of an axis, or None if a linear one shows the rows well or the metric has no bounds.

        Args:
          values: the qualities of all rows; in percent if the metric is a share.
        """
        ends = [end * (100 if metric.percent else 1) for end in (metric.minimum, metric.maximum)]
        best, worst = ends if metric.lower_is_better else ends[::-1]
        if not np.isfinite(ends).all():
            return None
        width = max(RESOLUTION * abs(worst - best), float(np.abs(np.array(values) - best).min()))
        scale = cls(best, worst, width, bool(metric.lower_is_better))
        forward, _ = scale.functions()
        return scale if _middle(forward(np.array(values))) > GAIN * _middle(np.array(values)) else None

    @property
    def note(self) -> str:
        """A sentence for the caption."""
        return f"The quality axis is logarithmic in the distance from {self.best:g}."

    def apply(self, axes: Axes) -> None:
        """Scales the y axis, whose limits must enclose all rows."""
        low, high = axes.get_ylim()
        low, high = max(low, min(self.best, self.worst)), min(high, max(self.best, self.worst))
        forward, inverse = self.functions()
        axes.set_yscale("function", functions=(forward, inverse))
        margin = MARGIN * (forward(high) - forward(low))
        axes.set_ylim(inverse(forward(low) - margin), inverse(forward(high) + margin))
        sign = 1 if self.lower_is_better else -1
        ticks = [self.best + sign * distance for distance in DISTANCES]
        axes.yaxis.set_major_locator(FixedLocator(_spaced([tick for tick in ticks if low <= tick <= high], forward)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))

    def functions(self) -> tuple[Callable, Callable]:
        """Returns a quality's coordinate, which increases with it, and the inverse."""
        arguments = (self.best, self.width)
        return functools.partial(_compress, *arguments), functools.partial(_expand, *arguments)


def _middle(values: np.ndarray) -> float:
    """Returns the share of the axis that the middle half of the rows fills."""
    low, high = np.quantile(values, (0.25, 0.75))
    return float((high - low) / np.ptp(values)) if np.ptp(values) else 0.0


def _compress(best: float, width: float, value: float | np.ndarray) -> np.ndarray:
    """Returns a coordinate that is linear within `width` of the best value and logarithmic beyond."""
    return np.arcsinh((np.asarray(value) - best) / width)


def _expand(best: float, width: float, coordinate: float | np.ndarray) -> np.ndarray:
    """Returns the inverse of `_compress`."""
    return best + width * np.sinh(np.asarray(coordinate))


def _spaced(ticks: Sequence[float], forward: Callable) -> list[float]:
    """Returns the ticks, from the first one on, that are not too close to the one before."""
    gap = MIN_GAP * abs(forward(ticks[-1]) - forward(ticks[0])) if ticks else 0
    chosen: list[float] = []
    for tick in ticks:
        if not chosen or abs(forward(tick) - forward(chosen[-1])) >= gap:
            chosen.append(tick)
    return chosen
