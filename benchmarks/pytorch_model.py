"""The same model in PyTorch: as a careful user writes it, as tutorials write it, and without input feeding."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attn_research.data.vocab import BOS

Score = Callable[[Tensor], Tensor]  # queries [b t q] -> logits [b t s]


def dot(p: Mapping[str, Tensor], keys: Tensor) -> Score:
    """k_j . q."""
    return lambda queries: queries @ keys.transpose(1, 2)


def scaled_dot(p: Mapping[str, Tensor], keys: Tensor) -> Score:
    """k_j . q / sqrt(k)."""
    return dot(p, keys / keys.shape[-1] ** 0.5)


def general(p: Mapping[str, Tensor], keys: Tensor) -> Score:
    """k_j . W q."""
    return dot(p, keys @ p["W"])


def concat(p: Mapping[str, Tensor], keys: Tensor) -> Score:
    """v . tanh(W_q q + W_k k_j)."""
    projected = (keys @ p["W_k"])[:, None]
    return lambda queries: torch.tanh(projected + (queries @ p["W_q"])[:, :, None]) @ p["v"]


def location(p: Mapping[str, Tensor], keys: Tensor) -> Score:
    """(W q)_j."""
    columns = p["W"][:, : keys.shape[1]]
    return lambda queries: queries @ columns


SCORES = {score.__name__: score for score in (dot, scaled_dot, general, concat, location)}


class EfficientModel(nn.Module):
    """Projects the keys once per sentence, and runs the output layer once, after the loop."""

    def __init__(self, arrays: Mapping[str, np.ndarray], score: str):
        super().__init__()
        (source, embedding), (target, _) = arrays["source_embedding"].shape, arrays["target_embedding"].shape
        hidden = len(arrays["decoder/combination/W_c"]) // 2
        self.source, self.target = nn.Embedding(source, embedding), nn.Embedding(target, embedding)
        self.encoder = nn.LSTM(embedding, hidden // 2, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(hidden, 2 * hidden)
        self.cell = self.make_cell(embedding, hidden)
        self.score, scope = SCORES[score], "decoder/attention/score/"
        own = {name.removeprefix(scope): array for name, array in arrays.items() if name.startswith(scope)}
        self.score_weights = nn.ParameterDict({name: torch.empty(array.shape) for name, array in own.items()})
        self.combination = nn.Linear(2 * hidden, hidden, bias=False)
        self.output = nn.Linear(hidden, target)

    def make_cell(self, embedding: int, hidden: int) -> nn.Module:
        """Returns a cell that reads the symbol and the previous attentional vector."""
        return nn.LSTMCell(embedding + hidden, hidden)

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns encoder states [b s h], the padding mask [b s], and the decoder's initial h and c [b h]."""
        packed = pack_padded_sequence(self.source(source), lengths, batch_first=True, enforce_sorted=False)
        states, (last, _) = self.encoder(packed)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=source.shape[1])
        c, h = torch.tanh(self.bridge(torch.cat([last[0], last[1]], -1))).chunk(2, -1)
        return states, torch.arange(source.shape[1]) >= lengths[:, None], h, c

    def attend(self, score: Score, states: Tensor, padding: Tensor, queries: Tensor) -> Tensor:
        """Returns attentional vectors [b t a] for queries [b t q]."""
        logits = score(queries).masked_fill(padding[:, None], -torch.inf)
        return torch.tanh(self.combination(torch.cat([logits.softmax(-1) @ states, queries], -1)))

    def shift_right(self, target: Tensor) -> Tensor:
        """Embeds the previous symbols, beginning with BOS."""
        return self.target(nn.functional.pad(target[:, :-1], (1, 0), value=BOS))

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Returns logits [b t n]."""
        states, padding, h, c = self.encode(source, lengths)
        score, vector, vectors = self.score(self.score_weights, states), torch.zeros_like(h), []
        for symbol in self.shift_right(target).unbind(1):
            h, c = self.cell(torch.cat([symbol, vector], -1), (h, c))
            vector = self.attend(score, states, padding, h[:, None])[:, 0]
            vectors.append(vector)
        return self.output(torch.stack(vectors, 1))


class TutorialModel(EfficientModel):
    """Projects the keys and runs the output layer in every step."""

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Returns logits [b t n]."""
        states, padding, h, c = self.encode(source, lengths)
        vector, logits = torch.zeros_like(h), []
        for symbol in self.shift_right(target).unbind(1):
            h, c = self.cell(torch.cat([symbol, vector], -1), (h, c))
            score = self.score(self.score_weights, states)
            vector = self.attend(score, states, padding, h[:, None])[:, 0]
            logits.append(self.output(vector))
        return torch.stack(logits, 1)


class NoFeedingModel(EfficientModel):
    """Feeds nothing back: the fused LSTM runs over the whole target, then all steps attend at once."""

    def make_cell(self, embedding: int, hidden: int) -> nn.Module:
        """Returns an LSTM that reads the symbols alone."""
        return nn.LSTM(embedding, hidden, batch_first=True)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Returns logits [b t n]."""
        states, padding, h, c = self.encode(source, lengths)
        queries, _ = self.cell(self.shift_right(target), (h[None], c[None]))
        score = self.score(self.score_weights, states)
        return self.output(self.attend(score, states, padding, queries))
