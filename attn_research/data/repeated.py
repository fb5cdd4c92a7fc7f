"""The task `repeated`: another task, with a further split of sources that are repeated several times.

It tests whether attention still finds its place in inputs that are longer than any in training, and that have the same
content at several positions   (Chorowski et al. 2015, section 3.2).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attn_research.annotations import Items
from attn_research.data.synthetic import Times
from attn_research.data.task import DatasetDict, load, tasks
from attn_research.errors import UserError
from attn_research.registry import Spec

if TYPE_CHECKING:
    import datasets


def _inner(trait: str) -> Callable[[dict[str, Any]], Any]:
    """Returns a trait that is the trait of the repeated task."""
    return lambda hyper: getattr(tasks.bind(hyper["task"]).traits, trait)


@tasks.register(
    symbols=_inner("symbols"),
    outputs=_inner("outputs"),
    generated=_inner("generated"),
    check_files=_inner("check_files"),
)
def repeated(task: Spec = Spec("copy"), times: Times = 10, items: Items = 100) -> DatasetDict:
    """The splits of `task`, and `test_repeated`: the first `items` items of its test, repeated 1 to `times` times.

    With times=2, `5 2` to `2 5` is in `test_repeated` once as it is and once as `5 2 5 2` to `2 5 2 5`. The attribute
    `times` of an item is the number of repetitions. `task` is a spec, as in 'transduction(path="cmudict_g2p")'.

    Raises:
      UserError: as `task`, or it learns its segmentation.
    """
    if tasks.bind(task).traits.symbols == "learned":
        raise UserError(f"repeated cannot repeat the lines of {task}, which learns its segmentation")
    splits = load(task)
    return type(splits)(splits | {"test_repeated": _repeat(splits["test"], times, items)})


def _repeat(test: "datasets.Dataset", times: int, items: int) -> "datasets.Dataset":
    rows = [(number, test[i]) for number in range(1, times + 1) for i in range(min(items, len(test)))]
    columns: dict[str, list] = {name: [row[name] * number for number, row in rows] for name in ("source", "target")}
    if "references" in test.column_names:
        columns["references"] = [[one * number for one in row["references"]] for number, row in rows]
    if "alignment" in test.column_names:
        columns["alignment"] = [_repeat_links(row, number) for number, row in rows]
    columns["attributes"] = [{"times": number} for number, _ in rows]
    return type(test).from_dict(columns)


def _repeat_links(row: dict[str, Any], times: int) -> list[list[int]]:
    """Returns the links of an item, moved by its lengths at each repetition."""
    source, target = len(row["source"]), len(row["target"])
    return [[i + k * source, j + k * target] for k in range(times) for i, j in row["alignment"]]
