"""A loop over time that makes the gradients of what it multiplies with after the loop, by one product each."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal
from jaxtyping import Array, Float


def scan(step: Callable, start: Any, xs: Any, reverse: bool = False) -> tuple[Any, Any]:
    """`jax.lax.scan`, faster on the way back: the same values, and the same gradients up to rounding.

    y_t = x_t W has dW = sum_t x_t' dy_t. In place of a product and a sum at every t, all x_t and dy_t are kept, of
    which one product is made. This is for every array from outside, weights, keys and values, that the step multiplies
    with what changes; what it does inside of `jax.checkpoint` and the like is left as it is. `jax.jvp` does not go
    through it.
    """
    first = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), xs)
    traced, shapes = jax.make_jaxpr(step, return_shape=True)(start, first)
    jaxpr, tree, products = traced.jaxpr, jax.tree.structure(shapes), _products(traced.jaxpr)
    steps = len(jax.tree.leaves(xs)[0])

    def loop(constants, start, xs, errors):
        """`errors` are zero and added to the y_t, so that their gradients are the dy_t."""

        def body(carry, now):
            x, error = now
            leaves, factors = _run(jaxpr, constants, jax.tree.leaves((carry, x)), products, error)
            carry, y = jax.tree.unflatten(tree, leaves)
            return carry, (y, factors)

        end, (ys, factors) = jax.lax.scan(body, start, (xs, errors), reverse=reverse)
        return (end, ys), factors

    @jax.custom_vjp
    def whole(constants, start, xs):
        return loop(constants, start, xs, {})[0]

    def forward(constants, start, xs):
        made = {place: product.operation.outvars[0].aval for place, product in products.items()}
        errors = {place: jnp.zeros((steps, *y.shape), y.dtype) for place, y in made.items()}
        result, back, factors = jax.vjp(loop, constants, start, xs, errors, has_aux=True)
        return result, (back, factors)

    def backward(kept, gradient):
        back, factors = kept
        gradients, start, xs, errors = back(gradient)
        for place, product in products.items():
            gradients[product.constant] += product.gradient(factors[place], errors[place])
        return gradients, start, xs

    whole.defvjp(forward, backward)
    return whole(traced.consts, start, xs)


class Product(NamedTuple):
    """An operation of the step that multiplies x, which changes, with W, which does not."""

    operation: JaxprEqn
    constant: int  # which of the step's constants W is
    side: int  # of x among the two operands

    def __call__(self, x: Array, W: Array) -> Array:
        return self.operation.primitive.bind(*((W, x) if self.side else (x, W)), **self.operation.params)

    def gradient(self, x: Float[Array, "t ..."], dy: Float[Array, "t ..."]) -> Array:
        """sum_t x_t' dy_t, of W's shape."""
        like = self.operation.invars[1 - self.side].aval
        contracted, (batch, _) = self.operation.params["dimension_numbers"]
        product = jax.vmap(self, (0, None))
        if not (self.side or batch or 0 in contracted[0]):  # the rows of every t are rows of one matrix
            product, x, dy = self, x.reshape(-1, *x.shape[2:]), dy.reshape(-1, *dy.shape[2:])
        return jax.linear_transpose(lambda W: product(x, W), like)(dy)[0]


def _products(jaxpr: Jaxpr) -> dict[int, Product]:
    """The products with a constant, by their places among the operations."""
    constants, found = {variable: number for number, variable in enumerate(jaxpr.constvars)}, {}
    for place, operation in enumerate(jaxpr.eqns):
        numbers = [None if isinstance(v, Literal) else constants.get(v) for v in operation.invars]
        if operation.primitive is jax.lax.dot_general_p and numbers.count(None) == 1:
            side = numbers.index(None)
            found[place] = Product(operation, numbers[1 - side], side)
    return found


def _run(
    jaxpr: Jaxpr, constants: Sequence[Array], inputs: Sequence[Array], products: dict[int, Product], errors: dict
) -> tuple[list[Array], dict[int, Array]]:
    """The step, operation by operation: what it gives, and the x of each product that has an error."""
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *inputs), strict=True))
    factors = {}

    def read(variable):
        return variable.val if isinstance(variable, Literal) else values[variable]

    for place, operation in enumerate(jaxpr.eqns):
        operands = [read(variable) for variable in operation.invars]
        if place in errors:
            product = products[place]
            x, W = operands[product.side], operands[1 - product.side]
            factors[place], made = x, product(x, jax.lax.stop_gradient(W)) + errors[place]
        else:
            made = operation.primitive.bind(*operands, **operation.primitive.get_bind_params(operation.params))
        values.update(zip(operation.outvars, made if operation.primitive.multiple_results else [made], strict=True))
    return [read(variable) for variable in jaxpr.outvars], factors
