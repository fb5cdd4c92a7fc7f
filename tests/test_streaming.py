"""`translate` reads pipes and files of any length: in order, before the input ends, in constant memory."""

import gzip
import io
import subprocess
import sys
import threading

import psutil
import pytest
from user_folder import environment

from attn_research.cli import main
from attn_research.commands import input_lines
from attn_research.commands.input_lines import MAX_BYTES, read_lines
from attn_research.commands.translate import BATCH

SYMBOLS = "abcde"
GROWTH = 24e6  # bytes that the memory of the process may grow over all batches but the first ones


def line_of(number):
    """Returns five symbols that name a number."""
    return " ".join(SYMBOLS[number // 5**place % 5] for place in range(5)) + "\n"


@pytest.mark.slow
def test_a_pipe_longer_than_memory_is_translated_in_order_while_it_runs(run, capfd):
    distinct = "".join(map(line_of, range(5**5)))
    command = [sys.executable, "-m", "attn_research", "translate", str(run), "--max-length", "4"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment(), text=True) as process:
        answered, repetitions, memory = threading.Event(), 20, []

        def feed():
            process.stdin.writelines(map(line_of, range(BATCH)))
            process.stdin.flush()
            assert answered.wait(120)  # the rest is written after the first output has been read
            process.stdin.writelines(map(line_of, range(BATCH, 5**5)))
            for _ in range(repetitions - 1):
                process.stdin.write(distinct)
            process.stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        outputs = [process.stdout.readline()]
        answered.set()
        for _ in range(repetitions):
            outputs += [process.stdout.readline() for _ in range(5**5 - (len(outputs) == 1))]
            memory.append(psutil.Process(process.pid).memory_info().rss)
        feeder.join()
        assert process.stdout.read() == ""
    assert process.returncode == 0
    assert outputs == outputs[: 5**5] * repetitions and len(set(outputs)) > 5
    assert max(memory[3:]) - memory[2] < GROWTH


def test_lines_are_read_one_by_one_and_a_long_one_is_cut_off(monkeypatch):
    monkeypatch.setattr(input_lines, "MAX_BYTES", 8)
    stream = io.BytesIO(b"\xef\xbb\xbfab\n12345678\n1234567\n" + b"x" * 100 + b"\n\xc3\xa4\nlong" + b"\xc3\xa4" * 9)
    lines = list(read_lines(stream))
    assert [line.number for line in lines] == list(range(1, 7))
    assert [line.text for line in lines] == ["ab", "", "1234567", "", "ä", ""]
    flaw = "has more than 8 bytes"
    assert [line.flaw for line in lines] == ["", flaw, "", flaw, "", flaw]
    endless = iter(["1\n", "2\n"])
    pipe = io.BufferedReader(Endless(endless))
    reader = read_lines(pipe)
    assert [next(reader).text for _ in range(2)] == ["1", "2"]


class Endless(io.RawIOBase):
    """A pipe that fails if more is read than has been written."""

    def __init__(self, lines):
        self.lines = lines

    def readable(self):
        return True

    def readinto(self, buffer):
        text = next(self.lines).encode()
        buffer[: len(text)] = text
        return len(text)


@pytest.mark.parametrize("compress", [False, True])
def test_bad_lines_are_empty_outputs_and_the_exit_status(run, tmp_path, capsys, compress):
    text = b"d e\n\n\xff\n" + b"c " * MAX_BYTES + b"\n" + b"d e\n"
    path = tmp_path / ("lines.txt.gz" if compress else "lines.txt")
    path.write_bytes(gzip.compress(text) if compress else text)
    assert main(["translate", str(run), "--input", str(path)]) == 1
    captured = capsys.readouterr()
    outputs = captured.out.split("\n")
    assert len(outputs) == 6 and outputs[1:4] == ["", "", ""] and outputs[0] and outputs[4]
    flaws = ("is empty", "is not UTF-8: invalid start byte at byte 0", "has more than 1,048,576 bytes")
    assert captured.err.splitlines() == [
        f"attn-research: {path}:{number} {flaw}, so its output is empty" for number, flaw in enumerate(flaws, 2)
    ]
