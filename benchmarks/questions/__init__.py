"""One file a question, each with a `Question` named `question`."""
