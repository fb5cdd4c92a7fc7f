"""Experiments and the execution of their runs."""
