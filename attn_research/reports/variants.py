"""Every variant with its signature, equation, source, parameters and cost, read from the registries and docstrings."""

import inspect
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from attn_research.attention.attention import Attention
from attn_research.attention.latent import latents
from attn_research.attention.normalizers import normalizers
from attn_research.attention.scores import scores
from attn_research.attention.windows import windows
from attn_research.config import Attention as Options
from attn_research.decoding.penalties import penalties
from attn_research.errors import UserError
from attn_research.models.bridges import bridges
from attn_research.models.combinations import combinations
from attn_research.models.placements import placements
from attn_research.registry import Spec, nearest
from attn_research.reports.items import Item
from attn_research.reports.render import markdown_code, markdown_escape
from attn_research.training.auxiliary import auxiliaries
from attn_research.training.flops import product_flops

KEYS, QUERY = 10_007, 30_011  # so far apart that a shape tells which sizes it is made of
LENGTH = 20  # of the source and of the target, for the cost
SIZE = 256  # of query and keys, for the cost
ATTENTION = {"score": scores, "normalizer": normalizers, "window": windows}
REGISTRIES = {f"model.attention.{name}": registry for name, registry in ATTENTION.items()} | {
    "model.attention.latent": latents,
    "model.decoder.placement": placements,
    "model.decoder.combination": combinations,
    "model.decoder.bridge": bridges,
    "train.auxiliary": auxiliaries,
    "decode.length_penalty": penalties,
}
INTRODUCTION = """# Every variant

Printed by `attn-research scores` from the registries: what stands here is what the code's docstrings and shapes say.
k is the size of a key, q that of a query; `keys`, `values`, `output`, `bias`, `heads`, `split` and `query` of
`model.attention` go with every one of them. Cost: floating-point operations of the products and convolutions for a
sentence of 20 words each way at sizes of 256, divided by those of `dot`.
"""


class Variant(NamedTuple):
    """One variant as a reader wants to know it."""

    kind: str  # the config field that names it
    name: str
    signature: str  # name(option=default, ...)
    equation: str
    reference: str
    notes: str  # what differs under the same name elsewhere
    parameters: dict[str, tuple[str, ...]]  # shapes in letters: k, q the sizes of key and query
    cost: float | None  # FLOPs of its products and convolutions by those of dot; None: it is no attention


def variants() -> dict[str, list[Variant]]:
    """All that are registered, by kind."""
    return {kind: [describe(kind, Spec(name)) for name in registry.functions] for kind, registry in REGISTRIES.items()}


def find_kind(spec: Spec) -> str:
    """The config field whose variant `spec` names; a user's own is a score.

    Raises:
      UserError: there is no variant of that name.
    """
    if spec.module:
        return "model.attention.score"
    known = {name: kind for kind, registry in reversed(REGISTRIES.items()) for name in registry.functions}
    if spec.name not in known:
        raise UserError(f"unknown variant {spec.name!r}; {nearest(spec.name, known)}")
    return known[spec.name]


def describe(kind: str, spec: Spec) -> Variant:
    """A variant with the options that `spec` sets.

    Raises:
      UserError: there is no such variant of this kind.
    """
    bound = REGISTRIES[kind].bind(spec)
    options = ", ".join(f"{name}={value!r}" for name, value in bound.hyper.items())
    signature = f"{spec.partition('(')[0]}({options})"
    field = kind.rpartition(".")[2]
    if not has_weights(kind) or (field == "score" and not bound.traits.attends):
        return Variant(kind, spec.name, signature, *_parse_docstring(bound.function), {}, None)
    cost = flops(field, spec) / flops("score", Spec("dot"))
    return Variant(kind, spec.name, signature, *_parse_docstring(bound.function), _parameters(field, spec), cost)


def has_weights(kind: str) -> bool:
    """Whether attention weights come from the variants of this config field."""
    return kind.rpartition(".")[2] in ATTENTION


def _parse_docstring(function: Callable) -> tuple[str, str, str]:
    """Equation, source and notes, of a docstring `equation   (source)`, an empty line, notes."""
    summary, _, notes = inspect.getdoc(function).partition("\n\n")
    equation, _, reference = _one_line(summary).partition("   (")
    return equation.rstrip("."), reference.rstrip(".").removesuffix(")"), _one_line(notes).strip()


def _one_line(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text)


def _parameters(field: str, spec: Spec) -> dict[str, tuple[str, ...]]:
    try:
        tree = jax.eval_shape(_init(field, spec, KEYS, QUERY, "general"))
    except ValueError:  # it needs both of one size
        tree = jax.eval_shape(_init(field, spec, KEYS, KEYS))
    leaves = [(path[1:], leaf) for path, leaf in jax.tree.leaves_with_path(tree) if path[1].key == field]
    return {"_".join(step.key for step in path[1:]): tuple(map(_letter, leaf.shape)) for path, leaf in leaves}


def _letter(size: int) -> str:
    """A size in terms of k and q: `4 q`, `(k + q + 10)`."""
    query, rest = divmod(size, QUERY)
    keys, rest = divmod(rest, KEYS)
    letters = [f"{times} {letter}" if times > 1 else letter for times, letter in ((keys, "k"), (query, "q")) if times]
    terms = letters + [str(rest)] * bool(rest or not letters)
    return terms[0] if len(terms) == 1 else f"({' + '.join(terms)})"


def _module(field: str, spec: Spec, score: str = "dot") -> Attention:
    return Attention(Options(**({"score": Spec(score)} | {field: spec})))


def _init(field: str, spec: Spec, keys: int, query: int, score: str = "dot") -> Callable[[], Any]:
    states, lengths = jnp.zeros((1, LENGTH, keys)), jnp.full(1, LENGTH)
    return lambda: _module(field, spec, score).init(jax.random.PRNGKey(0), states, lengths, states[:, 0], query)


def flops(field: str, spec: Spec) -> int:
    """Floating-point operations for one sentence, scores and weighted sums together."""
    states, lengths = jnp.zeros((1, LENGTH, SIZE)), jnp.full(1, LENGTH)

    def attend(params, queries):
        bound_attention = _module(field, spec).apply(params, states, lengths, states[:, 0], SIZE)
        return jax.lax.scan(
            lambda history, query: bound_attention.step(query, history)[::-2], bound_attention.start, queries
        )

    params = jax.eval_shape(_init(field, spec, SIZE, SIZE))
    return product_flops(jax.make_jaxpr(attend)(params, jnp.zeros((LENGTH, 1, SIZE))).jaxpr)


def format_count(parameters: dict[str, tuple[str, ...]]) -> str:
    """The number of parameters as a sum of products: `k q + q`; a dash for none."""
    return " + ".join(map(_product, parameters.values())) or "–"


def _product(shape: tuple[str, ...]) -> str:
    """Numbers in front, multiplied."""
    words = " ".join(shape).split() if not any("(" in size for size in shape) else shape
    numbers, letters = [word for word in words if word.isdigit()], [word for word in words if not word.isdigit()]
    number = math.prod(map(int, numbers))
    return " ".join([str(number)] * (number > 1 or not letters) + letters)


def render_page(kinds: dict[str, list[Variant]]) -> str:
    """GitHub's Markdown: a table for each kind, and below it what each is called elsewhere."""
    return "\n" + "\n".join(line for kind, kind_variants in kinds.items() for line in _section(kind, kind_variants))


def _section(kind: str, kind_variants: list[Variant]) -> list[str]:
    """Parameters and cost only where they are the attention's own."""
    columns = 5 if has_weights(kind) else 3
    rows = [
        (
            markdown_code(variant.signature),
            markdown_code(variant.equation),
            variant.reference or "–",
            markdown_escape(format_count(variant.parameters)),
            "–" if variant.cost is None else f"{variant.cost:.1f}",
        )
        for variant in kind_variants
    ]
    head = ("variant", "equation", "source", "parameters", "cost / dot")
    table = [f"| {' | '.join(row[:columns])} |" for row in (head, ("---",) * 5, *rows)]
    notes = [f"- {markdown_code(variant.name)}: {variant.notes}" for variant in kind_variants if variant.notes]
    return [f"## `{kind}`", "", *table, "", *notes, *[""] * bool(notes)]


def example(field: str, spec: Spec) -> Item:
    """What a variant looks at with its first parameters, in a fixed example: eight random states, six queries."""
    rng = np.random.default_rng(0)
    states, queries = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((1, 8, 16), (6, 1, 16)))
    module, lengths = _module(field, spec), jnp.array([8])
    params = module.init(jax.random.PRNGKey(0), states, lengths, states[:, 0], 16)

    def step(histories, query):
        _, weights, histories = bound_attention.step(query, histories)
        return histories, weights[0]

    bound_attention = module.apply(params, states, lengths, states[:, 0], 16)
    weights = jax.lax.scan(step, bound_attention.start, queries)[1]
    return Item([f"k{j}" for j in range(8)], [f"q{t}" for t in range(6)], np.asarray(weights))
