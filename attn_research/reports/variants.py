"""The page of all variants: signature, equation, source, parameters and cost, from registries and docstrings."""

import inspect
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from attn_research.attention.attention import Attention
from attn_research.attention.bound import BoundAttention
from attn_research.attention.latent import latents
from attn_research.attention.normalizers import normalizers
from attn_research.attention.scores import scores
from attn_research.attention.windows import windows
from attn_research.config import Attention as Options
from attn_research.decoding.penalties import penalties
from attn_research.decoding.sampling import samplings
from attn_research.errors import UserError
from attn_research.models.bridges import bridges
from attn_research.models.combinations import combinations
from attn_research.models.output_normalizers import output_normalizers
from attn_research.models.placements import placements
from attn_research.registry import Spec, nearest
from attn_research.reports.items import Item
from attn_research.reports.render import markdown_code, markdown_escape
from attn_research.training.auxiliary import auxiliaries
from attn_research.training.program import product_flops

KEYS, QUERY = 10_007, 30_011  # sizes so different that `_letter` can split a sum of them
LENGTH = 20  # source and target symbols, for the cost
SIZE = 256  # size of query and keys, for the cost
SECTION = "model.attention"
ATTENTION = {"score": scores, "normalizer": normalizers, "window": windows}
REGISTRIES = {f"{SECTION}.{name}": registry for name, registry in ATTENTION.items()} | {
    "model.attention.latent": latents,
    "model.decoder.placement": placements,
    "model.decoder.combination": combinations,
    "model.decoder.bridge": bridges,
    "model.output.normalizer": output_normalizers,
    "train.auxiliary": auxiliaries,
    "decode.length_penalty": penalties,
    "decode.sampling": samplings,
}
INTRODUCTION = """# Every variant

`attn-research scores` prints this page from the registries: docstrings and parameter shapes of the code. `k` is the
size of a key, `q` that of a query. The fields `keys`, `values`, `output`, `bias`, `heads`, `split` and `query` of
`model.attention` combine with every variant. Cost: floating-point operations of products and convolutions, relative to
`dot`, for 20 source and 20 target symbols and sizes of 256.
"""


class Variant(NamedTuple):
    """A row of the page."""

    kind: str  # config field
    name: str
    signature: str  # name(option=default, ...)
    equation: str
    reference: str
    notes: str  # differences from variants of the same name elsewhere
    parameters: dict[str, tuple[str, ...]]  # shapes by name; k and q are the sizes of key and query
    cost: float | None  # FLOPs of products and convolutions relative to dot; None if it computes no weights


def variants() -> dict[str, list[Variant]]:
    """Returns all registered variants, by kind."""
    return {kind: [describe(kind, Spec(name)) for name in registry.functions] for kind, registry in REGISTRIES.items()}


def find_kind(spec: Spec) -> str:
    """Returns the config field whose variant `spec` names. A user's own variant is a score.

    Raises:
      UserError: the name is unknown.
    """
    if spec.module:
        return "model.attention.score"
    known = {name: kind for kind, registry in reversed(REGISTRIES.items()) for name in registry.functions}
    if spec.name not in known:
        raise UserError(f"unknown variant {spec.name!r}; {nearest(spec.name, known)}")
    return known[spec.name]


def describe(kind: str, spec: Spec) -> Variant:
    """Describes a variant with the options that `spec` sets.

    Raises:
      UserError: the kind has no such variant.
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
    """Whether the variants of this config field compute attention weights."""
    section, _, field = kind.rpartition(".")
    return section == SECTION and field in ATTENTION


def _parse_docstring(function: Callable) -> tuple[str, str, str]:
    """Splits a docstring `equation   (source)`, empty line, notes into equation, source and notes; all may be empty."""
    summary, _, notes = (inspect.getdoc(function) or "").partition("\n\n")
    equation, _, reference = _one_line(summary).partition("   (")
    return equation.rstrip("."), reference.rstrip(".").removesuffix(")"), _one_line(notes).strip()


def _one_line(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text)


def _parameters(field: str, spec: Spec) -> dict[str, tuple[str, ...]]:
    try:
        tree = jax.eval_shape(_init(field, spec, KEYS, QUERY, "general"))
    except ValueError:  # it needs query and keys of the same size
        tree = jax.eval_shape(_init(field, spec, KEYS, KEYS))
    leaves = [(path[1:], leaf) for path, leaf in jax.tree.leaves_with_path(tree) if path[1].key == field]
    return {"_".join(step.key for step in path[1:]): tuple(map(_letter, leaf.shape)) for path, leaf in leaves}


def _letter(size: int) -> str:
    """Writes a size in terms of k and q: `4 q`, `(k + q + 10)`."""
    query, rest = divmod(size, QUERY)
    keys, rest = divmod(rest, KEYS)
    letters = [f"{times} {letter}" if times > 1 else letter for times, letter in ((keys, "k"), (query, "q")) if times]
    terms = letters + [str(rest)] * bool(rest or not letters)
    return terms[0] if len(terms) == 1 else f"({' + '.join(terms)})"


def _module(field: str, spec: Spec, score: str = "dot") -> Attention:
    options: dict[str, Any] = {"score": Spec(score), field: spec}
    return Attention(Options(**options))


def _init(field: str, spec: Spec, keys: int, query: int, score: str = "dot") -> Callable[[], Any]:
    states, lengths = jnp.zeros((1, LENGTH, keys)), jnp.full(1, LENGTH)
    return lambda: _module(field, spec, score).init(jax.random.PRNGKey(0), states, lengths, states[:, 0], query)


def flops(field: str, spec: Spec) -> int:
    """Returns the floating-point operations of one sentence: scores and weighted sums."""
    states, lengths = jnp.zeros((1, LENGTH, SIZE)), jnp.full(1, LENGTH)

    def attend(params, queries):
        bound_attention = _module(field, spec).apply(params, states, lengths, states[:, 0], SIZE)
        return jax.lax.scan(
            lambda history, query: bound_attention.step(query, history)[::-2], bound_attention.start, queries
        )

    params = jax.eval_shape(_init(field, spec, SIZE, SIZE))
    return product_flops(jax.make_jaxpr(attend)(params, jnp.zeros((LENGTH, 1, SIZE))).jaxpr)


def format_count(parameters: dict[str, tuple[str, ...]]) -> str:
    """Writes the number of parameters as a sum of products, `k q + q`, or a dash for none."""
    return " + ".join(map(_product, parameters.values())) or "–"


def _product(shape: tuple[str, ...]) -> str:
    """Writes a product with its numbers multiplied, in front."""
    words = " ".join(shape).split() if not any("(" in size for size in shape) else shape
    numbers, letters = [word for word in words if word.isdigit()], [word for word in words if not word.isdigit()]
    number = math.prod(map(int, numbers))
    return " ".join([str(number)] * (number > 1 or not letters) + letters)


def render_page(kinds: dict[str, list[Variant]]) -> str:
    """Renders GitHub Markdown: for each kind, a table and the notes of its variants."""
    return "\n" + "\n".join(line for kind, kind_variants in kinds.items() for line in _section(kind, kind_variants))


def _section(kind: str, kind_variants: list[Variant]) -> list[str]:
    """Renders one kind. Only kinds that compute weights have columns for parameters and cost."""
    columns = 5 if has_weights(kind) else 3
    rows = [
        (
            markdown_code(variant.signature),
            markdown_code(variant.equation) if variant.equation else "–",
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
    """Returns a variant's weights with its initial parameters, for eight random states and six random queries."""
    rng = np.random.default_rng(0)
    states, queries = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((1, 8, 16), (6, 1, 16)))
    module, lengths = _module(field, spec), jnp.array([8])
    params = module.init(jax.random.PRNGKey(0), states, lengths, states[:, 0], 16)

    def step(histories, query):
        _, weights, histories = bound_attention.step(query, histories)
        return histories, weights[0]

    # apply returns a tuple only if a collection is mutable.
    bound_attention = cast(BoundAttention, module.apply(params, states, lengths, states[:, 0], 16))
    weights = jax.lax.scan(step, bound_attention.start, queries)[1]
    return Item([f"k{j}" for j in range(8)], [f"q{t}" for t in range(6)], np.asarray(weights))
