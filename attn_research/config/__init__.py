"""A config is a value: frozen, printable, comparable and hashable. Its digest names the run.

The schema is in `config.schema`. `override` is the only way to change a value.
"""

from attn_research.config.fields import diff, field_types, flatten, override, with_spec
from attn_research.config.hashing import LATER, digest, program_config
from attn_research.config.parsing import check_search_changes, load, parse_changes, parse_grid, run_file, unflatten
from attn_research.config.schema import (
    Attention,
    Auxiliary,
    Config,
    Data,
    Decode,
    Decoder,
    Encoder,
    Model,
    Output,
    Train,
)  # fmt: skip

__all__ = [
    "LATER",
    "Attention",
    "Auxiliary",
    "Config",
    "Data",
    "Decode",
    "Decoder",
    "Encoder",
    "Model",
    "Output",
    "Train",
    "check_search_changes",
    "diff",
    "digest",
    "field_types",
    "flatten",
    "load",
    "override",
    "parse_changes",
    "parse_grid",
    "program_config",
    "run_file",
    "unflatten",
    "with_spec",
]
