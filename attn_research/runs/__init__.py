"""Runs on disk: records, the logger of their numbers, and the clock and environment that they tell of."""
