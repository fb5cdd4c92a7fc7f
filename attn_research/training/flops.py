"""Counts the floating-point operations of the matrix products in a traced function."""

import math
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr


def product_flops(jaxpr: ClosedJaxpr | Jaxpr) -> int:
    """2 x multiply-adds of every dot_general; a scan counts as often as it runs, a while loop's body once."""
    inner = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    return sum(_equation(equation) for equation in inner.eqns)


def _equation(equation: Any) -> int:
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        left = equation.invars[0].aval.shape
        return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(left[axis] for axis in contracted)
    times = equation.params["length"] if equation.primitive.name == "scan" else 1
    parts = [part for value in equation.params.values() for part in (value if isinstance(value, tuple) else (value,))]
    return times * sum(product_flops(part) for part in parts if isinstance(part, ClosedJaxpr | Jaxpr))
