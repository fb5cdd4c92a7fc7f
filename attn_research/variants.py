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
from attn_research.config import Config, flatten, override, with_spec
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
    "output_normalizer": "attn_research.models.output_normalizers:output_normalizers",
    "schedule": "attn_research.training.optimizers:schedules",
    "optimizer": "attn_research.training.optimizers:optimizers",
    "length_penalty": "attn_research.decoding.penalties:penalties",
    "sampling": "attn_research.decoding.sampling:samplings",
}


def field_specs(config: Config) -> dict[str, Spec]:
    """Returns the variants that are values of a config's fields, by dotted field name."""
    return {name: value for name, value in flatten(config).items() if isinstance(value, Spec)}


def specs(config: Config) -> dict[str, Spec]:
    """Returns all variants that a config names, by dotted field name.

    A variant may be a hyperparameter of another one: the score of `mocha(score="concat")` in the field
    `model.attention.normalizer` has the name `model.attention.normalizer.score`.
    """
    result: dict[str, Spec] = {}
    for name, spec in field_specs(config).items():
        result |= {name: spec} | _inner_specs(name, spec)
    return result


def _inner_specs(name: str, spec: Spec) -> dict[str, Spec]:
    result: dict[str, Spec] = {}
    for key, value in spec.hyper.items():
        inner = _as_spec(value)
        if inner and (key in REGISTRIES or (spec.module and inner.module.endswith(".py"))):
            result |= {f"{name}.{key}": inner} | _inner_specs(f"{name}.{key}", inner)
    return result


def _as_spec(value: object) -> Spec | None:
    """Returns the value of a hyperparameter as a spec; None if it is no text of that form."""
    if not isinstance(value, str):
        return None
    try:
        return value if isinstance(value, Spec) else Spec(value)
    except UserError:
        return None


def replace_spec(config: Config, name: str, spec: Spec) -> Config:
    """Returns the config with another variant under a name of `specs`."""
    if name in field_specs(config):
        return with_spec(config, name, spec)
    outer, _, key = name.rpartition(".")
    return replace_spec(config, outer, specs(config)[outer].with_hyper(key, spec))


def registry(name: str) -> Registry:
    """Returns the registry of a config field, which is given by its dotted or its last name."""
    module, _, attribute = REGISTRIES[_field(name)].partition(":")
    return getattr(importlib.import_module(module), attribute)


def _field(name: str) -> str:
    """Returns the key of `REGISTRIES`: the last name of a field, after that of its section if only both are unique."""
    section, _, field = name.rpartition(".")
    qualified = f"{section.rpartition('.')[2]}_{field}"  # output_normalizer
    return qualified if qualified in REGISTRIES else field


def check_names(*configs: Config) -> None:
    """Checks the name and the hyperparameters of every variant of the configs.

    Raises:
      UserError: as `Registry.bind`.
    """
    for name, spec in dict.fromkeys(item for config in configs for item in specs(config).items()):
        if _field(name) in REGISTRIES:
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
    fields = field_specs(config)
    result = {name: _canonical_built_in(_field(name), spec) for name, spec in fields.items() if not spec.module}
    if import_user_code:
        users = {name: spec for name, spec in fields.items() if spec.module and spec.hyper}
        result |= {name: _canonical(_field(name), spec) for name, spec in users.items()}
    return override(config, {name: spec for name, spec in result.items() if spec != fields[name]})


@functools.lru_cache(maxsize=4096)
def _canonical_built_in(field: str, spec: Spec) -> Spec:
    # Without hyperparameters only a task can change: only tasks declare `explicit`.
    return _canonical(field, spec) if spec.hyper or field == "task" else spec


def _canonical(field: str, spec: Spec) -> Spec:
    try:
        for name, inner in _inner_specs("", spec).items():
            key = name.removeprefix(".")
            if key in REGISTRIES and not inner.module:
                spec = spec.with_hyper(key, _canonical(key, inner))
        return registry(field).canonical(spec)
    except UserError:
        return spec
