"""What the code costs: questions, each asked of processes that are measured in turn. Not part of the package."""
