"""A loop over time that computes the gradients of weights after the loop, by one product each."""

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal
from jaxtyping import Array, Float

VARIABLE = "ATTN_RESEARCH_SCAN"  # environment variable; with `lax`, `jax.lax.scan` replaces this loop


def scan(step: Callable, start: Any, xs: Any, reverse: bool = False) -> tuple[Any, Any]:
    """Runs `jax.lax.scan` with a faster backward pass: the same values, and the same gradients up to rounding.

    y_t = x_t W has dW = sum_t x_t' dy_t. The loop keeps all x_t and dy_t and makes one product of them, where
    `jax.lax.scan` makes a product and a sum at every t. This holds for every array from outside (weights, keys, values)
    that the step multiplies with a changing one. Operations inside `jax.checkpoint` stay as they are.

    On two cores a training step with `jax.lax.scan` takes 1.03 to 1.10 times as long, on eight workloads
    (benchmarks/results/scan.json). `jax.jvp` and a debugger need `jax.lax.scan`: set ATTN_RESEARCH_SCAN=lax.
    """
    if os.environ.get(VARIABLE) == "lax":
        return jax.lax.scan(step, start, xs, reverse=reverse)
    first = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), xs)
    closed_jaxpr, shapes = jax.make_jaxpr(step, return_shape=True)(start, first)
    jaxpr, tree, products = closed_jaxpr.jaxpr, jax.tree.structure(shapes), _products(closed_jaxpr.jaxpr)
    steps = len(jax.tree.leaves(xs)[0])

    def loop(constants, start, xs, errors):
        """Runs the loop. It adds `errors`, which are zero, to the y_t, so their gradients are the dy_t."""

        def body(carry, inputs):
            x, error = inputs
            leaves, factors = _run(jaxpr, constants, jax.tree.leaves((carry, x)), products, error)
            carry, y = jax.tree.unflatten(tree, leaves)
            return carry, (y, factors)

        end, (ys, factors) = jax.lax.scan(body, start, (xs, errors), reverse=reverse)
        return (end, ys), factors

    @jax.custom_vjp
    def scan_with_gradient(constants, start, xs):
        return loop(constants, start, xs, {})[0]

    def forward(constants, start, xs):
        outputs = {index: product.operation.outvars[0].aval for index, product in products.items()}
        errors = {index: jnp.zeros((steps, *y.shape), y.dtype) for index, y in outputs.items()}
        result, back, factors = jax.vjp(loop, constants, start, xs, errors, has_aux=True)
        return result, (back, factors)

    def backward(residuals, gradient):
        back, factors = residuals
        gradients, start, xs, errors = back(gradient)
        for index, product in products.items():
            gradients[product.constant] += product.gradient(factors[index], errors[index])
        return gradients, start, xs

    scan_with_gradient.defvjp(forward, backward)
    return scan_with_gradient(closed_jaxpr.consts, start, xs)


class Product(NamedTuple):
    """An operation of the step that multiplies x, which changes, with W, which does not."""

    operation: JaxprEqn
    constant: int  # index of W among the constants of the step
    side: int  # index of x among the two operands

    def __call__(self, x: Array, W: Array) -> Array:
        return self.operation.primitive.bind(*((W, x) if self.side else (x, W)), **self.operation.params)

    def gradient(self, x: Float[Array, "t ..."], dy: Float[Array, "t ..."]) -> Array:
        """Returns sum_t x_t' dy_t, in the shape of W."""
        shape = self.operation.invars[1 - self.side].aval
        contracted, (batch, _) = self.operation.params["dimension_numbers"]
        product: Callable = jax.vmap(self.__call__, (0, None))
        if not (self.side or batch or 0 in contracted[0]):  # the rows of every t are rows of one matrix
            product, x, dy = self.__call__, x.reshape(-1, *x.shape[2:]), dy.reshape(-1, *dy.shape[2:])
        return jax.linear_transpose(lambda W: product(x, W), shape)(dy)[0]


def _products(jaxpr: Jaxpr) -> dict[int, Product]:
    """Returns the products with a constant, by their indices among the operations."""
    constants, products = {variable: number for number, variable in enumerate(jaxpr.constvars)}, {}
    for index, operation in enumerate(jaxpr.eqns):
        numbers = [None if isinstance(v, Literal) else constants.get(v) for v in operation.invars]
        if operation.primitive is jax.lax.dot_general_p and numbers.count(None) == 1:
            side = numbers.index(None)
            products[index] = Product(operation, cast(int, numbers[1 - side]), side)  # the other is None
    return products


def _run(
    jaxpr: Jaxpr, constants: Sequence[Array], inputs: Sequence[Array], products: dict[int, Product], errors: dict
) -> tuple[list[Array], dict[int, Array]]:
    """Runs the step, operation by operation. Returns its outputs, and the x of each product that has an error."""
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *inputs), strict=True))
    factors = {}

    def value_of(variable):
        return variable.val if isinstance(variable, Literal) else values[variable]

    for index, operation in enumerate(jaxpr.eqns):
        operands = [value_of(variable) for variable in operation.invars]
        if index in errors:
            product = products[index]
            x, W = operands[product.side], operands[1 - product.side]
            factors[index], outputs = x, product(x, jax.lax.stop_gradient(W)) + errors[index]
        else:
            outputs = operation.primitive.bind(*operands, **operation.primitive.get_bind_params(operation.params))
        values.update(
            zip(operation.outvars, outputs if operation.primitive.multiple_results else [outputs], strict=True)
        )
    return [value_of(variable) for variable in jaxpr.outvars], factors
