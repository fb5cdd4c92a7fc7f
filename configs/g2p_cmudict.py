"""Grapheme-to-phoneme conversion on CMUdict, a reduced setting.

Task: the letters of an English word to its ARPAbet phonemes without stress, the split of the published papers
(106,837 words with dev, 12,000 for test). The data is not in this repository: put train.tsv.gz, dev.tsv.gz and
test.tsv.gz in a folder `cmudict_g2p` and name the folder above it in ATTN_RESEARCH_DATA.
Cost: 15 to 25 minutes on one core (12 epochs of 1,735 steps).
Expected: word error rate about 27 % with dot, general or concat.
Command: attn-research train configs/g2p_cmudict.py
"""

from attn_research.config import Config, Data, Decode, Decoder, Encoder, Model, Train

config = Config(
    data=Data(task='transduction(path="cmudict_g2p")', batch_size=64, shapes=8),
    model=Model(
        embedding=64,
        dropout=0.2,
        encoder=Encoder(hidden=256),
        decoder=Decoder(hidden=256, input_feeding="none"),
    ),
    train=Train(
        steps=20820,
        learning_rate=2e-3,
        schedule="cosine(warmup=0.02)",
        log_every=347,
        evaluate_every=1735,
        select="wer",
    ),
    decode=Decode(ratio=1.0, extra=10),
)
