"""The cache of compiled programs on disk, whole and damaged."""

import subprocess
import sys

from damage import damages
from user_folder import environment

from attn_research.runs.compilation_cache import CheckedCache

PROGRAM = """
import warnings
warnings.simplefilter("error")
from attn_research.runs.compilation_cache import enable_compilation_cache
enable_compilation_cache()
import jax
print(float(jax.jit(lambda x: x * 3 + 1)(2.0)))
"""


def test_an_entry_is_returned_whole_or_not_at_all(tmp_path):
    cache = CheckedCache(str(tmp_path / "cache"))
    assert cache.get("key") is None
    cache.put("key", bytes(range(200)))
    (file,) = (tmp_path / "cache").iterdir()
    for damage in damages(file, 100):
        damage(file)
        assert cache.get("key") is None
        cache.put("key", bytes(range(200)))
        assert cache.get("key") == bytes(range(200))


def test_an_unwritable_cache_is_ignored(tmp_path):
    (tmp_path / "file").write_text("")
    cache = CheckedCache(str(tmp_path / "file" / "cache"))
    cache.put("key", b"value")
    assert cache.get("key") is None


def test_damaged_programs_are_recompiled_silently(tmp_path):
    def run_program():
        command, cache = [sys.executable, "-c", PROGRAM], {"ATTN_RESEARCH_CACHE": str(tmp_path)}
        result = subprocess.run(command, env=environment() | cache, capture_output=True, text=True, check=True)
        assert result.stderr == ""
        return result.stdout

    right = run_program()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert right == "7.0\n" and files
    for path in files:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert run_program() == right
    assert not any(path.read_bytes().endswith(b"?") for path in files)
