"""German to English on Multi30k, the captions alone.

Task: 29,000 training sentences; `test` is test_2016_flickr. The data is not in this repository: put train.*, val.* and
test_2016_flickr.* (de.gz and en.gz) in a folder `multi30k` and name the folder above it in ATTN_RESEARCH_DATA.
Cost: about an hour on one core (8 epochs of 458 steps).
Expected: 38 BLEU on test with general, 40 with concat; a tutorial (bentrevett's, GRU with additive attention,
lower-cased words, greedy) prints 28.30 on its own tokens.
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
