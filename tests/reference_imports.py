"""OpenNMT-py, Joey NMT and fairseq in plain NumPy, from their source: random state dicts, and greedy search with them.

They share no code with the package. A model is a dict of arrays with the names of the system's state dict. `greedy`
returns ids, attention weights [t s] and the log probability of one sentence.
"""

import numpy as np
from reference_cells import sigmoid
from reference_torch import count_layers, decode_layers, encode, join_directions, linear, softmax

UNIT = {"lstm": 4, "gru": 3, "rnn": 1}
WORDS = ["ein", "der", "rot", "und", "Haus", "geht", "x@@", "y"]
SPECIALS = {
    "opennmt": ["<unk>", "<blank>", "<s>", "</s>"],
    "joeynmt": ["<unk>", "<pad>", "<s>", "</s>"],
    "fairseq": ["<s>", "<pad>", "</s>", "<unk>"],
}
SYMBOLS = {name: specials + WORDS for name, specials in SPECIALS.items()}  # of both sides, in the order of the rows


class Draw:
    """Collects random arrays by name."""

    def __init__(self, seed):
        self.rng, self.arrays = np.random.default_rng(seed), {}

    def array(self, name, *shape):
        self.arrays[name] = self.rng.normal(size=shape).astype(np.float32)

    def linear(self, name, inputs, outputs, bias=True):
        self.array(f"{name}.weight", outputs, inputs)
        if bias:
            self.array(f"{name}.bias", outputs)

    def cell(self, pattern, kind, inputs, hidden):
        for part, shape in {"weight_ih": (inputs,), "weight_hh": (hidden,), "bias_ih": (), "bias_hh": ()}.items():
            self.array(pattern.format(part), UNIT[kind] * hidden, *shape)

    def layers(self, pattern, kind, layers, inputs, hidden, ways=("",)):
        """`pattern` has {layer} and {way}."""
        for layer in range(layers):
            for way in ways:
                self.cell(pattern.format(layer=layer, way=way), kind, inputs, hidden)
            inputs = hidden * len(ways)


def directions(both):
    return ("", "_reverse") if both else ("",)


def opennmt_model(
    seed=0, kind="lstm", layers=2, both=True, size=6, embedding=5, attention="general", feed=True, bridge=False,
    gate=None, generator="generator.0",
):  # fmt: skip
    d, n, ways = Draw(seed), len(SYMBOLS["opennmt"]), directions(both)
    for side in ("encoder", "decoder"):
        d.array(f"{side}.embeddings.make_embedding.emb_luts.0.weight", n, embedding)
    d.layers("encoder.rnn.{{}}_l{layer}{way}", kind, layers, embedding, size // len(ways), ways)
    if bridge:
        for part in range(2 if kind == "lstm" else 1):
            total = size // len(ways) * layers
            d.linear(f"encoder.bridge.{part}", total, total)
    inputs = embedding + (size if feed else 0)
    decoder = "gru" if kind == "rnn" else kind  # with rnn_type RNN, StackedGRU follows nn.RNN
    d.layers("decoder.rnn.layers.{layer}.{{}}" if feed else "decoder.rnn.{{}}_l{layer}", decoder, layers, inputs, size)
    if attention == "general":
        d.linear("decoder.attn.linear_in", size, size, bias=False)
    if attention == "mlp":
        d.linear("decoder.attn.linear_context", size, size, bias=False)
        d.linear("decoder.attn.linear_query", size, size)
        d.linear("decoder.attn.v", size, 1, bias=False)
    d.linear("decoder.attn.linear_out", 2 * size, size, bias=attention == "mlp")
    if gate:
        d.linear("decoder.context_gate.context_gate.gate", inputs + 2 * size, size)
        d.linear("decoder.context_gate.context_gate.source_proj", size, size)
        d.linear("decoder.context_gate.context_gate.target_proj", inputs + size, size)
    d.linear(generator, size, n)
    return d.arrays


def joeynmt_model(
    seed=0, kind="lstm", layers=2, size=5, encoder=3, embedding=4, attention="luong", feed=True, bridge=True
):
    d, n = Draw(seed), len(SYMBOLS["joeynmt"])
    for side in ("src_embed", "trg_embed"):
        d.array(f"{side}.lut.weight", n, embedding)
    d.layers("encoder.rnn.{{}}_l{layer}{way}", kind, layers, embedding, encoder, directions(True))
    d.layers("decoder.rnn.{{}}_l{layer}", kind, layers, embedding + (size if feed else 0), size)
    d.linear("decoder.att_vector_layer", size + 2 * encoder, size)
    d.linear("decoder.output_layer", size, n, bias=False)
    d.linear("decoder.attention.key_layer", 2 * encoder, size, bias=False)
    if attention == "bahdanau":
        d.linear("decoder.attention.query_layer", size, size, bias=False)
        d.linear("decoder.attention.energy_layer", size, 1, bias=False)
    if bridge:
        d.linear("decoder.bridge_layer", 2 * encoder, size)
    return d.arrays


def fairseq_model(seed=0, layers=2, both=False, size=6, encoder=6, embedding=6, shared=False):
    d, n, units = Draw(seed), len(SYMBOLS["fairseq"]), encoder * (2 if both else 1)
    for side in ("encoder", "decoder"):
        d.array(f"{side}.embed_tokens.weight", n, embedding)
    d.layers("encoder.lstm.{{}}_l{layer}{way}", "lstm", layers, embedding, encoder, directions(both))
    if units != size:
        d.linear("decoder.encoder_hidden_proj", units, size)
        d.linear("decoder.encoder_cell_proj", units, size)
    d.layers("decoder.layers.{layer}.{{}}", "lstm", layers, embedding + size, size)
    d.linear("decoder.attention.input_proj", size, units, bias=False)
    d.linear("decoder.attention.output_proj", size + units, size, bias=False)
    if not shared:
        d.linear("decoder.fc_out", size, n)
    return d.arrays


def by_layer(parts):
    """(h, c), each [layers h] -> [(h, c) of every layer]."""
    return list(zip(*parts, strict=True))


def opennmt(p, symbols, gate=None, normalize=softmax):
    """RNNEncoder with its bridge, and StdRNNDecoder or InputFeedRNNDecoder with GlobalAttention and a context gate."""
    h, final = encode(p, "encoder.rnn", p["encoder.embeddings.make_embedding.emb_luts.0.weight"][symbols])
    if "encoder.bridge.0.weight" in p:
        # states [layers * d h], batch first, are viewed as rows of layers * h
        rows = [part.reshape(-1, p["encoder.bridge.0.weight"].shape[0]) for part in final]
        new = [np.maximum(linear(p, f"encoder.bridge.{i}", part), 0) for i, part in enumerate(rows)]
        final = tuple(part.reshape(old.shape) for part, old in zip(new, final, strict=True))
    states = by_layer(join_directions(p, "encoder.rnn", final))
    feeds = "decoder.rnn.layers.0.weight_ih" in p
    pattern = "decoder.rnn.layers.{layer}.{{}}" if feeds else "decoder.rnn.{{}}_l{layer}"
    generator = "generator.0" if "generator.0.weight" in p else "generator"

    def attend(q):
        if "decoder.attn.linear_in.weight" in p:
            e = h @ linear(p, "decoder.attn.linear_in", q)
        elif "decoder.attn.v.weight" in p:
            sums = linear(p, "decoder.attn.linear_query", q) + linear(p, "decoder.attn.linear_context", h)
            e = linear(p, "decoder.attn.v", np.tanh(sums))[:, 0]
        else:
            e = h @ q
        a = normalize(e)
        vector = linear(p, "decoder.attn.linear_out", np.concatenate([a @ h, q]))
        return (vector if "decoder.attn.v.weight" in p else np.tanh(vector)), a

    def step(symbol, memory):
        states, fed = memory
        x = p["decoder.embeddings.make_embedding.emb_luts.0.weight"][symbol]
        x = np.concatenate([x, fed]) if feeds else x
        states = decode_layers(p, pattern, x, states)
        vector, a = attend(states[-1][0])
        if gate:
            name, s = "decoder.context_gate.context_gate", states[-1][0]
            z = sigmoid(linear(p, f"{name}.gate", np.concatenate([x, s, vector])))
            source = linear(p, f"{name}.source_proj", vector)
            target = linear(p, f"{name}.target_proj", np.concatenate([x, s]))
            gated = {
                "source": target + z * source,
                "target": z * target + source,
                "both": (1 - z) * target + z * source,
            }
            vector = np.tanh(gated[gate])
        return linear(p, generator, vector), a, (states, vector)

    return step, (states, np.zeros_like(states[-1][0])), SYMBOLS["opennmt"].index("<s>")


def joeynmt(p, symbols):
    """RecurrentEncoder, and RecurrentDecoder with LuongAttention or BahdanauAttention."""
    h, final = encode(p, "encoder.rnn", p["src_embed.lut.weight"][symbols])
    last = np.concatenate(final[0][-2:])  # of the top layer, forward and backward
    layers, hidden = count_layers(p, "decoder.rnn.{{}}_l{layer}"), p["decoder.rnn.weight_hh_l0"].shape[1]
    first = np.tanh(linear(p, "decoder.bridge_layer", last)) if "decoder.bridge_layer.weight" in p else np.zeros(hidden)
    states = [(first,) * len(final)] * layers
    feeds = p["decoder.rnn.weight_ih_l0"].shape[1] > p["trg_embed.lut.weight"].shape[1]

    def step(symbol, memory):
        states, fed = memory
        x = p["trg_embed.lut.weight"][symbol]
        states = decode_layers(p, "decoder.rnn.{{}}_l{layer}", np.concatenate([x, fed]) if feeds else x, states)
        query, keys = states[-1][0], linear(p, "decoder.attention.key_layer", h)
        if "decoder.attention.query_layer.weight" in p:
            sums = np.tanh(linear(p, "decoder.attention.query_layer", query) + keys)
            e = linear(p, "decoder.attention.energy_layer", sums)[:, 0]
        else:
            e = keys @ query
        a = softmax(e)
        vector = np.tanh(linear(p, "decoder.att_vector_layer", np.concatenate([query, a @ h])))
        return linear(p, "decoder.output_layer", vector), a, (states, vector)

    return step, (states, np.zeros(hidden)), SYMBOLS["joeynmt"].index("<s>")


def fairseq(p, symbols):
    """LSTMEncoder, and LSTMDecoder with AttentionLayer. The first symbol that the decoder reads is </s>."""
    h, final = encode(p, "encoder.lstm", p["encoder.embed_tokens.weight"][symbols])
    states = by_layer(join_directions(p, "encoder.lstm", final))
    if "decoder.encoder_hidden_proj.weight" in p:
        names = ("decoder.encoder_hidden_proj", "decoder.encoder_cell_proj")
        states = [tuple(linear(p, name, part) for name, part in zip(names, state, strict=True)) for state in states]

    def step(symbol, memory):
        states, fed = memory
        x = np.concatenate([p["decoder.embed_tokens.weight"][symbol], fed])
        states = decode_layers(p, "decoder.layers.{layer}.{{}}", x, states)
        a = softmax(h @ linear(p, "decoder.attention.input_proj", states[-1][0]))
        vector = np.tanh(linear(p, "decoder.attention.output_proj", np.concatenate([a @ h, states[-1][0]])))
        output = "decoder.fc_out" if "decoder.fc_out.weight" in p else "decoder.embed_tokens"
        return linear(p, output, vector), a, (states, vector)

    return step, (states, np.zeros_like(states[-1][0])), SYMBOLS["fairseq"].index("</s>")


MODELS = {"opennmt": opennmt_model, "joeynmt": joeynmt_model, "fairseq": fairseq_model}
FORWARD = {"opennmt": opennmt, "joeynmt": joeynmt, "fairseq": fairseq}


def greedy(name, p, words, limit, **options):
    """Translates one sentence greedily, without padding and start symbols, as a search of ours does.

    Args:
      words: without an end symbol, which Joey NMT and fairseq add.
      limit: the most symbols of an output, with the end symbol.
    """
    symbols = SYMBOLS[name]
    ids = [symbols.index(word if word in symbols else "<unk>") for word in words]
    ids += [] if name == "opennmt" else [symbols.index("</s>")]
    p = {key: array.astype(np.float64) for key, array in p.items()}
    step, memory, symbol = FORWARD[name](p, ids, **options)
    output, weights, log_probability = [], [], 0.0
    for _ in range(limit):
        logits, a, memory = step(symbol, memory)
        log_p = logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())
        symbol = max((i for i in range(len(symbols)) if i not in banned(name)), key=logits.__getitem__)
        weights.append(a)
        log_probability += log_p[symbol]
        if symbols[symbol] == "</s>":
            break
        output.append(symbols[symbol])
    return output, np.array(weights), log_probability


def banned(name):
    return [SYMBOLS[name].index(special) for special in SPECIALS[name] if special in ("<pad>", "<blank>", "<s>")]
