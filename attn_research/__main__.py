"""Runs `attn-research` as `python -m attn_research`."""

import sys

from attn_research.cli import main

if __name__ == "__main__":
    sys.exit(main())
