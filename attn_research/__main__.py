"""`python -m attn_research` is `attn-research`."""

import sys

from attn_research.cli import main

if __name__ == "__main__":
    sys.exit(main())
