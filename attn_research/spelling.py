"""One spelling for every config: variants that mean the same are the same run.

`softmax(temperature=1)`, `softmax(temperature=1.0)` and `softmax` are one variant. In its normal form a hyperparameter
has a value of its annotated type and stands there only where it differs from its default, or where its registration
says so (`written`).
"""

import functools
import importlib

from attn_research.config import Config, flatten, override
from attn_research.errors import UserError
from attn_research.registry import Registry, Spec

# The registry of every config field that is a Spec; its module is imported when it is first needed.
REGISTRIES = {
    "task": "attn_research.data.task:tasks",
    "score": "attn_research.attention.scores:scores",
    "normalizer": "attn_research.attention.normalizers:normalizers",
    "window": "attn_research.attention.windows:windows",
    "latent": "attn_research.attention.latent:latents",
    "cell": "attn_research.models.cells:cells",
    "bridge": "attn_research.models.bridges:bridges",
    "placement": "attn_research.models.placements:placements",
    "combination": "attn_research.models.combinations:combinations",
    "schedule": "attn_research.training.optimizers:schedules",
    "optimizer": "attn_research.training.optimizers:optimizers",
    "length_penalty": "attn_research.decoding.penalties:penalties",
}


def specs(config: Config) -> dict[str, Spec]:
    """The variants that a config names, by field."""
    return {name: value for name, value in flatten(config).items() if isinstance(value, Spec)}


def registry(field: str) -> Registry:
    """The registry of a config field, as in `model.attention.score`."""
    module, _, name = REGISTRIES[field.rpartition(".")[2]].partition(":")
    return getattr(importlib.import_module(module), name)


def normal(config: Config, users: bool = False) -> Config:
    """The config in its normal form; a variant that is unknown or does not fit stays as it is.

    Args:
      users: imports the users' files that the config names, too. Without it their variants stay as they are.
    """
    result = {name: _normal(name.rpartition(".")[2], spec) for name, spec in specs(config).items() if not spec.module}
    if users:
        result |= {name: _shortest(name, spec) for name, spec in specs(config).items() if spec.module and spec.hyper}
    return override(config, {name: spec for name, spec in result.items() if spec != flatten(config)[name]})


@functools.lru_cache(maxsize=4096)
def _normal(field: str, spec: Spec) -> Spec:
    """Of a built-in variant. Only that of a task can be longer than what was written."""
    return _shortest(field, spec) if spec.hyper or field == "task" else spec


def _shortest(field: str, spec: Spec) -> Spec:
    try:
        return registry(field).normal(spec)
    except UserError:
        return spec
