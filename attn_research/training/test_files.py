"""A test set in files of its own, read as the data of a run, without its training data."""

from collections.abc import Sequence
from pathlib import Path

from attn_research.attention.attention import max_source_length
from attn_research.config import Config
from attn_research.data import task
from attn_research.data.batching import EncodedSplit, choose_shapes, encode
from attn_research.data.segmentation import Segmentation
from attn_research.data.vocab import Vocabulary
from attn_research.training.prepare import Split, bleu_tokenizer, check_memory

NAME = "data"  # of the split


def read_test(
    run: Config, files: Sequence[Path], vocabularies: Sequence[Vocabulary], segmentations: Sequence[Segmentation]
) -> Split:
    """Reads files in the format of a run's task, with the vocabularies and segmentations of the run.

    Raises:
      UserError: the task reads no files, a file is invalid, or an item is too long for the model or the memory.
    """
    table = task.read_test(run.data.task, files, segmentations)
    encoded = EncodedSplit(
        encode(table["source"], vocabularies[0], end=False), encode(table["target"], vocabularies[1], end=True)
    )
    shapes = choose_shapes(encoded, run.data.shapes)
    split = Split(table, encoded, shapes, segmentations[1], bleu_tokenizer(run.data.task, table))
    check_memory(NAME, split, run.data.batch_size)
    score = run.model.attention.score
    task.check_lengths({NAME: table}, max_source_length(score), f"score {score}")
    return split
