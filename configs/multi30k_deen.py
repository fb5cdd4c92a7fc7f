"""German to English on the captions of Multi30k.

Question: what BLEU does a recurrent encoder-decoder with attention reach?
Data: 29,000 training sentences; `test` is test_2016_flickr. The data is not in this repository. Put train.*, val.* and
  test_2016_flickr.* (de.gz and en.gz) in a folder `multi30k`, and set ATTN_RESEARCH_DATA to the folder above it.
Setting: one layer of 512 units, a bidirectional encoder, 8,000 joint subwords, 8 epochs of 458 steps, beam 5.
Cost: about an hour on one core.
Expected: 38 BLEU on test with general, 40 with concat. For comparison, bentrevett's tutorial (GRU, additive attention,
  lower-cased words, greedy search) prints 28.30 on its own tokens.
Command: attn-research train configs/multi30k_deen.py
"""

from attn_research.config import Config, Data, Decode, Decoder, Encoder, Model, Train

config = Config(
    data=Data(
        task='translation(joint=True, path="multi30k", test="test_2016_flickr", vocabulary=8000)',
        batch_size=64,
        shapes=10,
    ),
    model=Model(
        embedding=256,
        dropout=0.3,
        encoder=Encoder(hidden=512, direction="both"),
        decoder=Decoder(hidden=512, input_feeding="attentional"),
    ),
    train=Train(
        steps=3664,
        learning_rate=1.5e-3,
        schedule="cosine(warmup=0.05)",
        label_smoothing=0.1,
        log_every=229,
        evaluate_every=916,
        select="bleu",
    ),
    decode=Decode(beam=5, length_penalty="wu(alpha=0.8)"),
)
