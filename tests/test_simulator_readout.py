"""The bus: against a plain event-by-event definition; order, rate, losses, and no trace of how calls are cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from simulated import simulate

from snnface.converters.preset import Readout
from snnface.converters.readout import Bus
from snnface.converters.sensors import SENSORS, sensor
from snnface.converters.simulator import EventSimulator
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, pack

WIDTH, HEIGHT = 7, 5
readouts = st.builds(
    Readout,
    events_per_s=st.sampled_from([2e4, 3e5, 1e6, 7e6, 1e9]),
    line_us=st.sampled_from([0.0, 0.3, 4.0]),
    order=st.sampled_from(["row", "column", "arrival"]),
    holds=st.booleans(),
)


def requests(seed: int, count: int, gap_us: float, start: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    t = start + np.cumsum(random.poisson(gap_us, count))
    x, y = random.integers(0, WIDTH, count), random.integers(0, HEIGHT, count)
    return pack(t, x, y, random.random(count) < 0.5)


def by_definition(events: np.ndarray, readout: Readout) -> tuple[list[tuple[int, int, int, bool]], int]:
    """Every event read, and how many are dropped, in plain steps of whole picoseconds."""
    slot, line_ps = round(1e12 / readout.events_per_s), round(readout.line_us * 1e6)
    lines = {"row": HEIGHT, "column": WIDTH, "arrival": 1}[readout.order]
    line_of = {"row": lambda e: int(e["y"]), "column": lambda e: int(e["x"]), "arrival": lambda e: 0}[readout.order]
    place_of = {"row": lambda e: int(e["x"]), "column": lambda e: int(e["y"]), "arrival": lambda e: 0}[readout.order]
    waiting: list[np.void] = []
    read_at: dict[tuple[int, int], float] = {}
    out, dropped, free, last, todo = [], 0, 0, -1, list(events)
    while todo or waiting:
        if not waiting:
            free = max(free, int(todo[0]["t"]) * 10**6)
        while todo and int(todo[0]["t"]) * 10**6 <= free:
            event = todo.pop(0)
            pixel = (int(event["x"]), int(event["y"]))
            if readout.holds and read_at.get(pixel, -1) > int(event["t"]) * 10**6:
                dropped += 1
                continue
            read_at[pixel] = float("inf")
            waiting.append(event)
        if not waiting:
            continue
        asking = {line_of(e) for e in waiting}
        last = next(n % lines for n in range(last + 1, last + 1 + lines) if n % lines in asking)
        now = sorted((e for e in waiting if line_of(e) == last), key=place_of)
        waiting = [e for e in waiting if line_of(e) != last]
        free += line_ps
        for e in now:
            free += slot
            read_at[int(e["x"]), int(e["y"])] = free
            out.append((free // 10**6, int(e["x"]), int(e["y"]), bool(e["p"])))
    return out, dropped


@settings(max_examples=40, deadline=None)
@given(readouts, st.integers(0, 2**32), st.integers(0, 150), st.sampled_from([0.05, 0.5, 2.0, 30.0]))
def test_events_are_read_as_the_definition_says(readout: Readout, seed: int, count: int, gap_us: float) -> None:
    events, bus = requests(seed, count, gap_us), Bus(WIDTH, HEIGHT, readout)
    expected, dropped = by_definition(events, readout)
    read = bus.read(events, None)
    assert read.dtype == EVENT_DTYPE
    # The bus counts from the first event on, so that times in ps do not overflow.
    assert [tuple(e) for e in read.tolist()] == expected
    assert bus.dropped == dropped
    assert bus.waiting == 0


@example(Readout(events_per_s=2e4, line_us=0.0, order="row", holds=True), 0, [1, 1], 0)
@settings(max_examples=30, deadline=None)
@given(readouts, st.integers(0, 2**32), st.lists(st.integers(1, 400), max_size=12), st.sampled_from([0, 10**15]))
def test_the_output_does_not_depend_on_how_the_input_is_cut(readout, seed, gaps, start) -> None:
    events = requests(seed, 300, 1.0, start)
    whole, parts = Bus(WIDTH, HEIGHT, readout), Bus(WIDTH, HEIGHT, readout)
    at_once = whole.read(events, None)
    given_out, last = [], start - 1
    for until in [*(start + np.cumsum(gaps, dtype=np.int64)).tolist(), start + 10**5]:
        some = events[(events["t"] > last) & (events["t"] <= until)]
        given_out.append(parts.read(some, until))
        assert (given_out[-1]["t"] <= until).all()
        last = until
    given_out.append(parts.read(events[:0], None))
    assert np.array_equal(np.concatenate(given_out), at_once)
    assert parts.dropped == whole.dropped
    assert len(at_once) + whole.dropped == len(events)


@settings(max_examples=30, deadline=None)
@given(readouts, st.integers(0, 2**32))
def test_the_rate_is_never_above_the_bus_and_events_never_early(readout: Readout, seed: int) -> None:
    events, bus = requests(seed, 400, 0.2), Bus(WIDTH, HEIGHT, readout)
    read = bus.read(events, None)
    t = read["t"]
    assert (np.diff(t) >= 0).all()
    for span_us in (1, 10, 100, 1000):
        most = np.searchsorted(t, t + span_us) - np.arange(len(t))
        assert most.max() <= np.ceil(span_us * readout.events_per_s * 1e-6) + 1
    if not readout.holds:
        # Event by event of each pixel: read in the order in which they happened, none before it did.
        for x, y in np.ndindex(WIDTH, HEIGHT):
            asked, got = (e[(e["x"] == x) & (e["y"] == y)] for e in (events, read))
            assert len(asked) == len(got)
            assert (got["t"] >= asked["t"]).all()
            assert np.array_equal(got["p"], asked["p"])
        assert len(read) == len(events)


def test_a_bus_far_from_saturation_changes_nothing() -> None:
    events = requests(0, 500, 3.0)
    events = events[np.r_[True, np.diff(events["t"]) > 0]]
    assert np.array_equal(Bus(WIDTH, HEIGHT, Readout(1e9)).read(events, None), events)


def test_rows_take_turns_and_are_read_by_column() -> None:
    """All pixels at once: row after row, in a row one column after another, a slot each."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    mixed = np.random.default_rng(0).permutation(WIDTH * HEIGHT)
    events = pack(np.full(WIDTH * HEIGHT, 50), x.ravel()[mixed], y.ravel()[mixed], np.ones(WIDTH * HEIGHT, bool))
    read = Bus(WIDTH, HEIGHT, Readout(1e6, line_us=2.0)).read(events, None)
    assert np.array_equal(read["y"], y.ravel())
    assert np.array_equal(read["x"], x.ravel())
    assert np.array_equal(read["t"], 50 + 1 + np.arange(WIDTH * HEIGHT) + 2 * (1 + y.ravel()))
    columns = Bus(WIDTH, HEIGHT, Readout(1e6, order="column")).read(events, None)
    assert np.array_equal(columns["x"], np.sort(x.ravel()))


@pytest.mark.parametrize("holds", [True, False])
def test_a_flash_through_a_slow_bus_is_spread_and_counted(holds: bool) -> None:
    side, rate = 40, 1e6
    preset = replace(SENSORS["clean"], threshold_on=0.3, readout=Readout(rate, holds=holds))
    simulator = EventSimulator(side, side, preset, 0)
    free = replace(preset, readout=None)
    pictures = [(0, 0.0), (1000, 0.0), (1100, 1.0), (2000, 1.0)]
    wanted = simulate(free, lambda t: np.full((side, side), dict(pictures)[t]), [t for t, _ in pictures])
    parts = [simulator.step(np.full((side, side), light), t) for t, light in pictures]
    assert len(parts[3]) == pytest.approx(900, abs=1)  # the bus at its limit between the last two pictures
    waiting = simulator.waiting
    rest = simulator.flush()
    assert len(rest) == waiting > 0
    assert simulator.waiting == 0
    events = np.concatenate([*parts, rest])
    assert (np.diff(events["t"]) >= 0).all()
    assert len(events) + simulator.dropped == len(wanted)
    assert (simulator.dropped > 0) == holds
    assert np.ptp(events["t"]) == pytest.approx(len(events) / rate * 1e6, abs=2)


def test_without_a_readout_nothing_waits() -> None:
    simulator = EventSimulator(4, 4, sensor("davis346"), 0)
    assert simulator.waiting == simulator.dropped == len(simulator.flush()) == 0


@pytest.mark.parametrize("wrong", [Readout(0), Readout(-1e6), Readout(1e6, -1.0), Readout(1e6, order="spiral")])
def test_a_bus_that_makes_no_sense_is_refused(wrong: Readout) -> None:
    with pytest.raises(InputError, match="readout"):
        Bus(WIDTH, HEIGHT, wrong)
