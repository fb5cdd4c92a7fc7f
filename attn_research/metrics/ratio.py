"""Division of sums over items."""

import numpy as np


def ratio(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Divides, with nan where the denominator is 0."""
    undefined = np.full(np.broadcast_shapes(np.shape(numerators), np.shape(denominators)), np.nan)
    return np.divide(numerators, denominators, out=undefined, where=np.not_equal(denominators, 0))
