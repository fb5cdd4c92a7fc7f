"""The laws that every attention keeps, and their check on one variant, built in or a user's own."""

from attn_research.attention.laws import numerics, positions, steps, weights  # noqa: F401  (each adds its laws)
from attn_research.attention.laws.law import SMALLER_SIZES, Law, Verdict, check, laws, not_finite, notes
from attn_research.attention.laws.options import changed_specs
from attn_research.attention.laws.trial import Sizes, Trial

__all__ = ["SMALLER_SIZES", "Law", "Sizes", "Trial", "Verdict", "changed_specs", "check", "laws", "not_finite", "notes"]
