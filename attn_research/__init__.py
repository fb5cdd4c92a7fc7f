"""Controlled comparisons of attention variants in recurrent encoder-decoders."""
