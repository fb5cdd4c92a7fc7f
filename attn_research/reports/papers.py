"""Papers that experiments re-run: what a paper claims, its setting, and what differs here.

    PAPER = Paper(
        source="Luong, Pham & Manning 2015, Table 4, SEEN",
        claim="Local attention with predicted positions and the general score has the lowest perplexity.",
        full=override(base, {"model.encoder.layers": 4, "model.encoder.hidden": 1000}),
        differs=("English to French instead of English to German.",),
    )

The fields that differ from the paper's setting are computed from `full`. `differs` has what no field can say.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from attn_research.config import Config, diff, flatten, override, unflatten
from attn_research.errors import UserError
from attn_research.variants import canonical

TUNED = "tuned on dev"


@dataclass(frozen=True)
class Paper:
    """The table or figure of a paper that an experiment re-runs.

    Attributes:
      source: authors, year, table and how it was read, as in "Luong, Pham & Manning 2015, Table 4, SEEN".
      claim: what the paper says of its table.
      full: the paper's setting of one row; None: the paper has none.
      differs: one sentence for each difference that is not in a config field: data, tokenization, measure.

    Raises:
      UserError: an attribute is empty or of another type, or `full` is not a valid config.
    """

    source: str
    claim: str
    full: Config | None
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        for name in ("source", "claim"):
            if not (isinstance(value := getattr(self, name), str) and value.strip()):
                raise UserError(f"{name} of PAPER is {value!r}, but must be a sentence")
        if not isinstance(self.full, Config | None):
            raise UserError(f"full of PAPER is {self.full!r}, but must be a Config or None")
        if not (isinstance(self.differs, tuple) and all(isinstance(one, str) for one in self.differs)):
            raise UserError(f"differs of PAPER is {self.differs!r}, but must be a tuple of sentences")
        object.__setattr__(self, "full", self.full and unflatten(flatten(self.full)))

    def differences(self, configs: Iterable[Config], tuned: Iterable[str] = ()) -> dict[str, tuple[Any, Any]]:
        """Returns the fields that differ from the paper's setting, if any, each with the value here and in the paper.

        Args:
          configs: the runs of the experiment. The one that is closest to the paper's setting is compared.
          tuned: fields whose value here is chosen on dev.
        """
        if self.full is None:
            return {}
        tuned = set(tuned)
        full = canonical(_without_seed(self.full), import_user_code=True)
        closest = min((diff(_without_seed(config), full) for config in configs), key=_distance)
        paper = flatten(full)
        fixed = {name: values for name, values in closest.items() if name not in tuned}
        return fixed | {name: (TUNED, value) for name, value in paper.items() if name in tuned}


def _distance(differences: dict[str, tuple[Any, Any]]) -> int:
    """Returns the number of fields that differ. Two different variants count twice, two options of one variant once."""
    return sum(1 + (str(a).partition("(")[0] != str(b).partition("(")[0]) for a, b in differences.values())


def _without_seed(config: Config) -> Config:
    """Returns the config with seed 0, since a paper names no seed."""
    return override(config, {"seed": 0})
