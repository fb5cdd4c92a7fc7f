"""Runs on disk: records, identities, environments, metric loggers and clocks."""
