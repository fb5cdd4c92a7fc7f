"""Sets of runs: what an experiment asks for, and making what is missing of it."""
