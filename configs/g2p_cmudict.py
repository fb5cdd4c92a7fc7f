"""Grapheme-to-phoneme conversion on CMUdict, in a reduced setting.

Question: what word error rate does a small model reach on real words?
Data: letters of English words to ARPAbet phonemes without stress, in the split of the published papers: 106,837 words
  with dev, and 12,000 for test. The data is not in this repository. Put train.tsv.gz, dev.tsv.gz and test.tsv.gz in a
  folder `cmudict_g2p`, and set ATTN_RESEARCH_DATA to the folder above it.
Setting: one layer of 256 units, 12 epochs of 1,735 steps.
Cost: 15 to 25 minutes on one core.
Expected: about 27 % word error rate with dot, general or concat.
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
