"""Runs on disk: records, and the clock and environment that they tell of."""
