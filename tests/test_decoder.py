"""Placements and combinations compared with plain NumPy loops, and invalid settings of the decoder."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_cells
from encoder_outputs import LENGTHS, B, E, H, S, T, close, encoder_output, random_array, random_parameters

from attn_research import config
from attn_research.models.combinations import combinations
from attn_research.models.decoder import Decoder
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.registry import Spec

PLACEMENTS = [
    # placement, layers, cell, input feeding, combination
    ("after", 2, "gru", "none", "concat"),
    ("after", 2, "gru", "attentional", "maxout(size=3)"),
    ("before", 2, "gru", "none", "concat"),
    ("before", 1, "lstm", "attentional", "gated(size=5)"),
    ('before(query="bottom")', 2, "lstm", "none", "concat(symbol=True)"),
    ('before(output="old")', 1, "gru", "none", "maxout"),
    ("between", 1, "rnn", "none", "readout(size=3)"),
    ("between", 1, "gru", "attentional", "readout(size=3, bias=True)"),
    ("between", 2, "lstm", "none", "concat"),
    ("bottom", 2, "lstm", "context", "none"),
    ("bottom", 3, "gru", "none", "tanh(size=5, bias=True)"),
    ('bottom(context="current")', 2, "rnn", "context", "none"),
]
every_placement = pytest.mark.parametrize(
    ("placement", "layers", "cell", "feeding", "combination"),
    [pytest.param(*p, id=f"{p[0]}-{p[2]}") for p in PLACEMENTS],
)


def join(*xs):
    return np.concatenate(xs, -1)


PLAIN_COMBINATIONS = {
    "tanh(bias=True, size=5)": lambda p, c, h, y: np.tanh(join(c, h) @ p["W_c"] + p["b"]),
    "linear": lambda p, c, h, y: join(c, h) @ p["W_c"],
    "linear(bias=True)": lambda p, c, h, y: join(c, h) @ p["W_c"] + p["b"],
    "readout(size=3)": lambda p, c, h, y: np.tanh(y @ p["W_e"] + h @ p["W_s"] + c @ p["W_c"]),
    "readout(bias=True, size=3)": lambda p, c, h, y: np.tanh(y @ p["W_e"] + h @ p["W_s"] + c @ p["W_c"] + p["b"]),
    "concat": lambda p, c, h, y: join(c, h),
    "concat(symbol=True)": lambda p, c, h, y: join(c, h, y),
    "none": lambda p, c, h, y: h,
}


def plain_maxout(p, c, h, y, pieces=2, bias=0.0):
    inner = h @ p["U_o"] + y @ p["V_o"] + c @ p["C_o"] + bias
    return np.stack([inner[..., component::pieces] for component in range(pieces)]).max(0)


def plain_gated(p, c, h, y, gate="both", symbol=True, attentional=False):
    c = np.tanh(join(c, h) @ p["W_a"]) if attentional else c
    known = join(y, h) if symbol else h
    z = reference_cells.sigmoid(join(known, c) @ p["W_z"] + p["b_z"])
    S_, T_ = c @ p["W_s"] + p["b_s"], known @ p["W_t"] + p["b_t"]
    return np.tanh({"source": T_ + z * S_, "target": z * T_ + S_, "both": (1 - z) * T_ + z * S_}[gate])


PLAIN_COMBINATIONS |= {
    "maxout": plain_maxout,
    "maxout(size=3)": plain_maxout,
    "maxout(bias=True, pieces=3, size=2)": lambda p, *x: plain_maxout(p, *x, pieces=3, bias=p["b"]),
    "gated(size=5)": plain_gated,
    'gated(gate="source")': functools.partial(plain_gated, gate="source"),
    'gated(gate="target")': functools.partial(plain_gated, gate="target"),
    "gated(symbol=False)": functools.partial(plain_gated, symbol=False),
    "gated(attentional=True)": functools.partial(plain_gated, attentional=True),
}


@pytest.mark.parametrize("spec", PLAIN_COMBINATIONS)
def test_combinations_equal_their_equations(spec):
    """With one leading axis, as in one step, and with two, as for all steps."""
    param, p = random_parameters()
    combine = combinations.bind(Spec(spec))(param, 5, H, E)
    for lead in ((B,), (T, B)):
        c, h, y = (random_array((*lead, size)) for size in (5, H, E))
        close(combine(*map(jnp.asarray, (c, h, y))), PLAIN_COMBINATIONS[spec](p, c, h, y))


def test_gated_without_the_symbol_equals_sockeyes_context_gate():
    """Sockeye: z = sigmoid(W [h; c] + b), tanh(z (W_h h + b_h) + (1 - z) (W_c c + b_c)). Its z is one minus ours."""
    param, p = random_parameters()
    c, h, y = (random_array((B, size)) for size in (5, H, E))
    ours = combinations.bind(Spec("gated(symbol=False)"))(param, 5, H, E)(*map(jnp.asarray, (c, h, y)))
    z = reference_cells.sigmoid(join(h, c) @ -p["W_z"] - p["b_z"])
    close(ours, np.tanh(z * (h @ p["W_t"] + p["b_t"]) + (1 - z) * (c @ p["W_s"] + p["b_s"])))


def plain_order(spec, cell, att, drop, s, y, fed, c_old):
    """Returns new states, the state to combine, and (context, weights) of one step; `cell(name, state, *inputs)`."""

    def upper(first, *more):
        states = [first]
        for n in range(1, len(s)):
            states.append(cell(f"layer_{n}", s[n], drop(n - 1, states[-1][-1]), *more))
        return states

    name = Spec(spec).name
    if name == "after":
        new = upper(cell("layer_0", s[0], y, fed))
        return new, new[-1][-1], att(new[-1][-1])
    if name == "before":
        c, a = att(s[0][-1] if "bottom" in spec else s[-1][-1])
        new = upper(cell("layer_0", s[0], y, c, fed))
        return new, (s if "old" in spec else new)[-1][-1], (c, a)
    first = cell("layer_0", s[0], y, fed)
    c, a = att(first[-1])
    handed_up = [c if "current" in spec else c_old] if name == "bottom" else []
    new = upper(cell("transition", first, c) if name == "between" else first, *handed_up)
    return new, new[-1][-1], (c, a)


def plain_attention(encoded):
    """Returns dot attention with a softmax over the real positions."""

    def att(h):
        logits = np.where(np.arange(S)[None] < LENGTHS[:, None], np.einsum("bsh,bh->bs", encoded.states, h), -np.inf)
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return np.einsum("bs,bsh->bh", weights, encoded.states), weights

    return att


def plain_decoder(p, placement_spec, start, encoded, ys, masks):
    """Returns attentional vectors and weights of all steps."""
    placement, _, name, feeding, combination = placement_spec
    run = getattr(reference_cells, name)
    cell = lambda name, state, *inputs: run(p[name], state, join(*inputs))  # noqa: E731
    combine = PLAIN_COMBINATIONS[Spec(combination)]
    s, actual = start, []
    nothing = np.zeros((B, 0), np.float32)
    c = np.zeros((B, H), np.float32)
    vector = np.zeros_like(combine(p.get("combination"), c, c, ys[0]))
    for t, y in enumerate(ys):
        fed = {"attentional": vector, "context": c, "none": nothing}[feeding]
        drop = lambda n, h: h * masks[t][n] if masks is not None else h  # noqa: B023, E731
        s, h, (c, a) = plain_order(placement, cell, plain_attention(encoded), drop, s, y, fed, c)
        vector = combine(p.get("combination"), c, h, y)
        actual.append((vector, a))
    return tuple(map(np.stack, zip(*actual, strict=True)))


def run_steps(steps, ys):
    return jax.lax.scan(steps.step, steps.start, ys)[1]


@every_placement
def test_placements_equal_their_step_orders_in_training_and_step_by_step(placement, layers, cell, feeding, combination):
    placement_spec = (placement, layers, cell, feeding, combination)
    c = config.Decoder(Spec(cell), layers, H, Spec("dense"), Spec(placement), feeding, Spec(combination))
    decoder = Decoder(c, config.Attention(), 0.5)
    encoded, ys = encoder_output(padding=9.0), jnp.asarray(random_array((T, B, E)))
    shapes = jax.eval_shape(lambda: decoder.init(jax.random.PRNGKey(0), encoded, E))
    leaves, tree = jax.tree.flatten(shapes)
    params = jax.tree.unflatten(tree, [jnp.asarray(random_array(x.shape, n)) for n, x in enumerate(leaves)])

    @jax.jit
    def run(params):
        steps = decoder.apply(params, encoded, E)
        rngs = {"dropout": jax.random.PRNGKey(1)}
        dropping = decoder.apply(params, encoded, E, rngs=rngs)
        dropped, masks = dropping.teacher_force(ys), dropping.dropout_masks(ys)
        return steps.start.cells, steps.teacher_force(ys), run_steps(steps, ys), dropped, masks

    start, forced, stepped, dropped, masks = jax.device_get(run(params))
    p = jax.device_get(params)["params"]
    expected = plain_decoder(p, placement_spec, start, jax.device_get(encoded), np.asarray(ys), None)
    jax.tree.map(close, forced, expected)
    jax.tree.map(close, stepped, expected)
    jax.tree.map(
        close, dropped, plain_decoder(p, placement_spec, start, jax.device_get(encoded), np.asarray(ys), masks)
    )


NONE = {"model.attention.score": "none"}
INVALID = {
    "bottom with one layer": ({"placement": "bottom"}, ["bottom", "one decoder layer", "model.decoder.layers"]),
    "lowest layer asked of one": ({"placement": 'before(query="bottom")'}, ["before", "one decoder layer"]),
    "bottom without attention": ({"placement": "bottom", "layers": 2} | NONE, ["bottom", "score 'none'"]),
    "between without attention": ({"placement": "between"} | NONE, ["between", "score 'none'"]),
    "gate without attention": ({"combination": "gated"} | NONE, ["gated", "no context to gate"]),
    "gate of what nobody feeds": (
        {"combination": "gated(fed=True)", "input_feeding": "none"},
        ["fed", "no effect", "input_feeding 'none'"],
    ),
    "gate that joins to nothing": ({"combination": "gated(fed=True, symbol=False)"}, ["fed", "symbol=False"]),
    "nothing to join": ({"combination": "concat"} | NONE, ["concat", "returns the state"]),
    "each layer of one": ({"bridge": 'dense(reads="each")'}, ["each", "at least two"]),
    "each layer of another height": ({"bridge": 'dense(reads="each")', "layers": 2}, ["1 and 2 layer(s)"]),
    "backward of one direction": (
        {"bridge": 'dense(reads="backward")', "model.encoder.direction": "reversed"},
        ["backward", "both", "reversed"],
    ),
    "shared by one array": ({"bridge": "dense(shared=True)", "cell": "gru"}, ["shared", "one layer of one array"]),
    "vectors of no size": ({"combination": "readout(size=0)"}, ["size of combination 'readout'", "0", "at least 1"]),
    "maximum of one": ({"combination": "maxout(pieces=1)"}, ["pieces", "maxout", "at least 2"]),
    "heads that are all alike": (
        {"model.attention.heads": 2, "model.attention.split": False},
        ["model.attention.heads", "score 'dot' has no parameters", "model.attention.keys"],
    ),
    "unknown placement": ({"placement": "bewteen"}, ["unknown placement", "bewteen", "did you mean between"]),
    "unknown gate": ({"combination": 'gated(gate="sauce")'}, ["gate", "source", "target", "both"]),
}


@pytest.mark.parametrize("case", INVALID)
def test_settings_without_effect_are_rejected_with_the_reason(case):
    changes, words = INVALID[case]
    changes = {name if "." in name else f"model.decoder.{name}": value for name, value in changes.items()}
    one = Seq2Seq(config.override(config.Config(), changes).model, source_size=9, target_size=8)
    with pytest.raises(ValueError) as error:
        jax.eval_shape(lambda: init_parameters(one, seed=0))
    for word in words:
        assert word in str(error.value)


def test_the_output_layer_and_input_feeding_read_the_size_of_the_attentional_vector():
    changes = {"model.decoder.combination": "maxout(size=7)", "model.embedding": 5, "model.decoder.hidden": 64}
    one = Seq2Seq(config.override(config.Config(), changes).model, source_size=9, target_size=8)
    params = jax.eval_shape(lambda: init_parameters(one, seed=0))["params"]
    assert params["output"]["W"].shape == (7, 8)
    assert params["decoder"]["layer_0"]["W"].shape[0] == 5 + 7 + 64
