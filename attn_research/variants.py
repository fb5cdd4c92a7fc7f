"""The variants that a config names: their registries, their source files and their canonical form.

`softmax(temperature=1)`, `softmax(temperature=1.0)` and `softmax` are one variant, so configs with them are one run.
`canonical` gives all such configs one spelling.
"""

import functools
import hashlib
import importlib
import sys
from pathlib import Path
from typing import cast

from attn_research import user_modules
from attn_research.config import Config, flatten, override
from attn_research.errors import UserError
from attn_research.registry import Registry, Spec, entry_points, load_entry_point

# The registry of every config field that is a Spec. Its module is imported on first use.
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
    """Returns the variants that a config names, by dotted field name."""
    return {name: value for name, value in flatten(config).items() if isinstance(value, Spec)}


def registry(name: str) -> Registry:
    """Returns the registry of a config field, which is given by its dotted or its last name."""
    module, _, attribute = REGISTRIES[_field(name)].partition(":")
    return getattr(importlib.import_module(module), attribute)


def _field(name: str) -> str:
    return name.rpartition(".")[2]


def check_names(config: Config) -> None:
    """Checks the name and the hyperparameters of every variant of a config.

    Raises:
      UserError: as `Registry.bind`.
    """
    for name, spec in specs(config).items():
        registry(name).bind(spec)


def is_installed(spec: Spec, name: str) -> bool:
    """Returns whether the variant of the field `name` comes from an installed package. Built-in names win."""
    return not spec.module and spec.name in entry_points(_field(name)) and spec.name not in registry(name).functions


def source(spec: Spec, name: str) -> user_modules.Source | None:
    """Returns the files of the variant of the field `name` as they are now; None for a built-in variant.

    The files are read, not imported.
    """
    if spec.module:
        return user_modules.read(spec.module)
    return user_modules.read(entry_points(_field(name))[spec.name].module) if is_installed(spec, name) else None


def fingerprint(spec: Spec, name: str) -> str | None:
    """Returns the first 16 hex digits of the sha256 of the variant's file; None for a built-in variant."""
    if spec.module:
        module = user_modules.load(spec.module)
    elif is_installed(spec, name):
        module = sys.modules[load_entry_point(entry_points(_field(name))[spec.name]).__module__]
    else:
        return None
    file = cast(str, module.__file__)  # it was imported from a file
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]


def canonical(config: Config, import_user_code: bool = False) -> Config:
    """Returns the config in its canonical form.

    A variant that is unknown or has a wrong hyperparameter stays as it is.

    Args:
      import_user_code: imports the user files that the config names. Without it, their variants stay as they are.
    """
    result = {name: _canonical_built_in(_field(name), spec) for name, spec in specs(config).items() if not spec.module}
    if import_user_code:
        users = {name: spec for name, spec in specs(config).items() if spec.module and spec.hyper}
        result |= {name: _canonical(_field(name), spec) for name, spec in users.items()}
    return override(config, {name: spec for name, spec in result.items() if spec != flatten(config)[name]})


@functools.lru_cache(maxsize=4096)
def _canonical_built_in(field: str, spec: Spec) -> Spec:
    # Without hyperparameters only a task can change: only tasks declare `explicit`.
    return _canonical(field, spec) if spec.hyper or field == "task" else spec


def _canonical(field: str, spec: Spec) -> Spec:
    try:
        return registry(field).canonical(spec)
    except UserError:
        return spec
