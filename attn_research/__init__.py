"""Attention variants in recurrent encoder-decoders, compared with nothing else changed."""
