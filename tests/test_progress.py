"""The progress display of a sweep."""

import pytest
from fake_runs import configs

from attn_research.sweeps.local import Event
from attn_research.sweeps.progress import BarDisplay, LineDisplay, TimeEstimate, format_duration


def show_events(display, events, names, runs):
    with display(names, runs, lambda event: f"it {event.kind}") as lines:
        for event in events:
            lines.handle(event)


def events_of(config, kind="ended"):
    steps = config.train.steps
    yield Event(config, "started")
    yield Event(config, "report", {"step": steps // 2, "steps": steps, "loss": 1.0})
    yield Event(config, "report", {"step": steps // 2, "steps": steps, "dev/exact": None})
    yield Event(config, kind)


@pytest.mark.parametrize("display", [LineDisplay, BarDisplay])
def test_every_display_prints_the_end_of_each_run(display, capsys):
    first, second = configs("fake", "fake(n=1)")
    events = [*events_of(first), *events_of(second, "failed")]
    show_events(display, events, {first: "concat [seed=0]", second: "dot"}, [first, second])
    lines = [line.strip() for line in capsys.readouterr().out.split("\n") if "[" in line]
    assert "[1/2] concat [seed=0]: it ended; about 0 s left" in lines
    assert "[2/2] dot: it failed" in lines


def test_no_remaining_time_is_shown_before_the_first_steps():
    clock = TimeEstimate(configs("fake", "fake(n=1)"))
    assert clock.format_remaining() == ""
    clock.update(clock_config := configs("fake")[0], 50)
    assert clock.format_remaining() == ""
    clock.update(clock_config, 100)
    assert clock.format_remaining().startswith("; about ")
    clock.remove(clock_config)
    assert clock.format_remaining() == ""


def test_durations_are_short_words():
    assert [format_duration(s) for s in (0.4, 19, 89.4, 90, 5000, 9000)] == [
        "0 s",
        "19 s",
        "89 s",
        "2 min",
        "83 min",
        "2.5 h",
    ]
