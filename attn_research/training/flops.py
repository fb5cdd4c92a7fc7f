"""Counts the floating-point operations of the matrix products and convolutions in a traced function."""

import math
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr


def product_flops(jaxpr: ClosedJaxpr | Jaxpr) -> int:
    """2 x multiply-adds of all products and convolutions; a scan counts as often as it runs, a while loop once."""
    inner = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    return sum(_equation(equation) for equation in inner.eqns)


def _equation(equation: Any) -> int:
    shapes = [variable.aval.shape for variable in equation.invars]
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(shapes[0][axis] for axis in contracted)
    if equation.primitive.name == "conv_general_dilated":
        outputs = shapes[1][equation.params["dimension_numbers"].rhs_spec[0]]
        return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(shapes[1]) // outputs
    times = equation.params["length"] if equation.primitive.name == "scan" else 1
    parts = [part for value in equation.params.values() for part in (value if isinstance(value, tuple) else (value,))]
    return times * sum(product_flops(part) for part in parts if isinstance(part, ClosedJaxpr | Jaxpr))
