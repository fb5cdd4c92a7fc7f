"""The encoder-decoder: encodes a batch of sources and returns a session that decodes it."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Int

from attn_research import config
from attn_research.attention.attention import Parameters
from attn_research.attention.history import source_mask
from attn_research.models.decoder import Decoder
from attn_research.models.encoder import Encoder, EncoderOutput, dropout_mask
from attn_research.models.output_normalizers import OutputNormalizer, output_normalizers
from attn_research.models.session import DecoderSession, LatentDecoderSession
from attn_research.registry import require


class Seq2Seq(nn.Module):
    """The whole model. In training it takes the random streams `dropout` and `attention`, elsewhere none."""

    config: config.Model
    source_size: int  # symbols of the source vocabulary
    target_size: int  # symbols of the target vocabulary

    @nn.compact
    def __call__(self, source: Int[Array, "b s"], lengths: Int[Array, " b"]) -> DecoderSession:
        """Encodes a batch of padded sources.

        Raises:
          UserError: a config field has no effect, or does not fit another one.
        """
        c = self.config
        embedding_init = nn.linear.default_embed_init
        source_table = self.param("source_embedding", embedding_init, (self.source_size, c.embedding))
        target_table = self.param("target_embedding", embedding_init, (self.target_size, c.embedding))
        encoder = Encoder(c.encoder, c.dropout, name="encoder")
        states, last = encoder(source_table[source.T], source_mask(lengths, source.shape[1]).T)
        decoder = Decoder(c.decoder, c.attention, c.dropout, name="decoder")
        bound = decoder(EncoderOutput(states.swapaxes(0, 1), lengths, last, c.encoder.direction), c.embedding)
        output = Parameters(name="output")(affine, bound.size, self.target_size)
        embed, dropouts = lambda symbols: target_table[symbols], (self._dropout(), self._dropout())
        session_type = LatentDecoderSession if bound.latent else DecoderSession
        return session_type(bound, embed, output, *dropouts, self._output_normalizer())

    def _output_normalizer(self) -> OutputNormalizer:
        spec, latent = self.config.output.normalizer, self.config.attention.latent
        bound = output_normalizers.bind(spec)
        require(
            latent is None or bound.traits.mixes,
            f"model.output.normalizer {str(spec)!r} does not fit model.attention.latent {str(latent)!r}, which mixes "
            "softmax outputs; set model.output.normalizer to softmax",
        )
        return bound()

    def _dropout(self) -> Callable:
        if not self.config.dropout or not self.has_rng("dropout"):
            return lambda x: x
        key = self.make_rng("dropout")
        return lambda x: x * dropout_mask(key, self.config.dropout, x.shape)


def init_parameters(model: Seq2Seq, seed: int) -> Any:
    """Returns the initial parameters. It compiles once for a model, not once for a seed."""
    return _init_parameters(model, jax.random.PRNGKey(seed))


@functools.partial(jax.jit, static_argnums=0)
def _init_parameters(model: Seq2Seq, key: Array) -> Any:
    return model.init(key, jnp.ones((1, 1), jnp.int32), jnp.ones(1, jnp.int32))


def affine(param: Callable, inputs: int, outputs: int) -> Callable:
    """Returns x -> x W + b."""
    W = param("W", nn.initializers.glorot_uniform(), (inputs, outputs))
    b = param("b", nn.initializers.zeros, (outputs,))

    def output(x):
        # With one leading axis, XLA computes the gradient of W without transposing that of all logits first.
        return (x.reshape(-1, inputs) @ W + b[None]).reshape(*x.shape[:-1], outputs)

    return output
