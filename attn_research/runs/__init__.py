"""Runs on disk: records, the mirror of their numbers, and the clock and environment that they tell of."""
