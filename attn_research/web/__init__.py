"""Web pages: the report of an experiment, with charts and an explorer of attention maps."""
