"""The laws of attention, and their check on one variant, built in or a user's own."""

from attn_research.attention.laws import numerics, options, steps, weights  # noqa: F401  (each registers its laws)
from attn_research.attention.laws.law import SMALLER_SIZES, Law, Verdict, check, find_nonfinite, laws, notes
from attn_research.attention.laws.options import changed_specs
from attn_research.attention.laws.trial import Sizes, Trial

__all__ = [
    "SMALLER_SIZES",
    "Law",
    "Sizes",
    "Trial",
    "Verdict",
    "changed_specs",
    "check",
    "find_nonfinite",
    "laws",
    "notes",
]
