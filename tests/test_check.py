"""`attn-research check`, on functions of a user's own."""

import pytest

from attn_research.cli import main


@pytest.mark.parametrize(("piece", "status"), [("undeclared_coverage", 1), ("sharp", 0)])
def test_laws_are_printed_with_what_came_of_them(piece, status, capsys):
    score = "general" if status == 0 else f"broken_pieces:{piece}"
    assert main(["check", score, "--normalizer", "broken_pieces:sharp"]) == status
    lines = capsys.readouterr().out.split("\n")
    assert lines[0].startswith("passed  history is declared: " if status == 0 else "failed  history is declared: ")
    assert ("TypeError" in lines[1]) == bool(status)
    assert f", {status} failed, " in lines[-2]
    assert not any("\033" in line for line in lines)
