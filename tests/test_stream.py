"""Streaming: equal to the batch backends, with a state of its own, at its own pace."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import small_networks as small
import torch

from snnface.backends import get
from snnface.batch import collate_events
from snnface.downscale import Downscale
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, pack
from snnface.hardware.integers.stream import FixedStream
from snnface.hardware.quantising.quantise import quantise
from snnface.heads import decode
from snnface.live import Live
from snnface.pace import as_they_come, at_once, by_clock
from snnface.stream import Stream
from snnface.ticks import ticks

DURATION_US = 80_000


def steps_of(events: np.ndarray, step_us: int, duration_us: int = DURATION_US) -> list[np.ndarray]:
    """Events step by step: (step·k, step·(k + 1)], t = 0 in the first."""
    ends = np.arange(step_us, duration_us, step_us)
    return np.split(events, np.searchsorted(events["t"], ends, side="right"))


@pytest.mark.parametrize("mode", ["exact", "graded", "unary"])
def test_stream_equals_the_batch_backend(mode):
    network, events = small.network(mode), small.clip(DURATION_US, 900)
    batch = collate_events([events], [DURATION_US], small.WIDTH, small.HEIGHT)
    trace = get("torch")(network, batch, dtype=torch.float64)
    expected = decode(trace.readout, network.heads)
    stream = Stream(network, np.float64)
    given_answers = [stream.tick(part) for part in steps_of(events, network.step_us)]
    assert len(given_answers) == len(trace.readout) == 40
    for k, tick in enumerate(given_answers):
        assert tick.spikes == [int(s[k].sum()) for s in trace.spikes]
        for name, answer in tick.answers.items():
            np.testing.assert_allclose(answer, expected[name][k, 0], rtol=0, atol=1e-12)
    assert all(sum(t.spikes[i] for t in given_answers) for i in range(3)), "every layer spikes"


def test_single_precision_stays_close():
    network, parts = small.network(), steps_of(small.clip(DURATION_US, 900), small.STEP_US)
    single, double = Stream(network), Stream(network, np.float64)
    for part in parts:
        np.testing.assert_allclose(
            single.tick(part).answers["landmarks"], double.tick(part).answers["landmarks"], rtol=0, atol=1e-3
        )


def test_integer_stream_equals_the_fixed_backend():
    batch = small.batch(DURATION_US, events=900)
    network = quantise(small.network("graded"), batch)
    trace = get("fixed")(network, batch)
    stream = FixedStream(network)
    parts = steps_of(small.clip(DURATION_US, 900), small.STEP_US)
    answers = [stream.tick(part) for part in parts]
    assert [t.spikes for t in answers] == [[int(s[k].sum()) for s in trace.spikes] for k in range(len(parts))]
    expected = decode(trace.readout, network.host.heads)
    np.testing.assert_array_equal([t.answers["expression"] for t in answers], expected["expression"][:, 0])


def _streams() -> list:
    calibration = small.batch(DURATION_US, events=900)
    return [Stream(small.network("graded")), FixedStream(quantise(small.network("graded"), calibration))]


@pytest.mark.parametrize("kind", [0, 1], ids=["float", "integer"])
def test_state_can_be_taken_put_back_and_reset(kind):
    stream = _streams()[kind]
    parts = steps_of(small.clip(DURATION_US, 900), small.STEP_US)
    for part in parts[:15]:
        stream.tick(part)
    state = stream.state()
    first = [stream.tick(part) for part in parts[15:]]
    stream.restore(state)
    again = [stream.tick(part) for part in parts[15:]]
    elsewhere = _streams()[kind]
    elsewhere.restore(state)
    other = [elsewhere.tick(part) for part in parts[15:]]
    stream.reset()
    fresh, begun = [stream.tick(p) for p in parts[:15]], _streams()[kind]
    restarted = [begun.tick(p) for p in parts[:15]]
    for left, right in zip(first + first + fresh, again + other + restarted, strict=True):
        assert left.spikes == right.spikes
        np.testing.assert_array_equal(left.answers["expression"], right.answers["expression"])
    assert first[0].spikes != restarted[0].spikes, "a state matters"


def test_a_state_of_another_network_is_refused():
    single, fixed = _streams()
    state = single.state()
    for stream in (single, fixed):
        with pytest.raises(InputError, match="another network"):
            stream.restore(type(state)(state.step, state.u[:2], state.v[:2]))


@pytest.mark.parametrize("t", [-1, 2_001])
def test_events_of_another_step_are_refused(t):
    with pytest.raises(InputError, match="Cut the stream"):
        Stream(small.network()).tick(pack([t], [0], [0], [1]))
    later = Stream(small.network())
    later.tick(np.empty(0, EVENT_DTYPE))
    later.tick(pack([2_001, 4_000], [0, 0], [0, 0], [1, 1]))
    with pytest.raises(InputError, match="step 2"):
        later.tick(pack([4_000], [0], [0], [1]))


def identity() -> Downscale:
    return Downscale(small.WIDTH, small.HEIGHT, small.WIDTH, small.HEIGHT)


def test_a_tick_of_several_steps_answers_as_its_last_step():
    events, network = small.clip(DURATION_US, 900), small.network()
    events["t"][0] = 0
    single = list(Live(Stream(network), identity()).run(at_once(ticks([events], 2_000, "x"))))
    triple = list(Live(Stream(network), identity(), 6_000).run(at_once(ticks([events], 6_000, "x"))))
    assert len(triple) == 14
    for k, answered in enumerate(triple[:-1]):
        np.testing.assert_array_equal(answered.tick.answers["landmarks"], single[3 * k + 2].tick.answers["landmarks"])
        steps = single[3 * k : 3 * k + 3]
        assert answered.tick.spikes == [sum(s) for s in zip(*(a.tick.spikes for a in steps), strict=True)]
        assert answered.events == sum(a.events for a in steps)
        assert answered.t_us == steps[-1].t_us == 6_000 * (k + 1)


@pytest.mark.parametrize("tick_us", [0, 1_000, 3_000, -2_000])
def test_a_tick_that_is_no_multiple_of_the_step_is_refused(tick_us):
    with pytest.raises(InputError, match="not a multiple"):
        Live(Stream(small.network()), identity(), tick_us)


class _Clock:
    """A clock that only moves when somebody waits or works."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class _Slow(Stream):
    """A network that takes 1 ms a step, more where there are many events."""

    def __init__(self, clock: _Clock, burst: float = 0.012) -> None:
        super().__init__(small.network())
        self.clock, self.burst = clock, burst

    def tick(self, events):
        self.clock.sleep(self.burst if len(events) > 2 else 0.001)
        return super().tick(events)


@pytest.mark.parametrize("paced", [True, False])
def test_pace_latency_and_lateness(paced, monkeypatch):
    """Ticks of 10 ms that end at 10, 20 … 60 ms; the first and the last take 16 ms, the others 5."""
    clock = _Clock()
    for module in ("live", "pace"):
        monkeypatch.setattr(f"snnface.{module}.time", clock)
    t = [0, *[1] * 5, 10_001, 20_001, 30_001, 40_001, *[50_001] * 5]
    events = pack(t, np.arange(len(t)) % 11, [0] * len(t), [1] * len(t))
    live = Live(_Slow(clock), identity(), 10_000)
    begin = clock.now + 0.001  # the warm-up's step
    flow = ticks([events], 10_000, "x")
    answers = list(live.run(by_clock(flow, 10_000) if paced else at_once(flow)))
    assert [a.ticks for a in answers] == [1] * 6
    summary = live.summary()
    assert (summary["ticks"], summary["answers"], summary["widened"]) == (6, 6, 0)
    work = [0.016, 0.005, 0.005, 0.005, 0.005, 0.016]
    assert live.latencies == pytest.approx(work)
    assert clock.now - begin == pytest.approx(0.060 + 0.016 if paced else sum(work))
    assert summary["late"] == (3 if paced else 2)  # paced, the second tick waits for the first
    assert summary["behind_us"] == pytest.approx(16_000)
    assert summary["largest_tick_events"] == 6
    assert summary["p50_us"] == pytest.approx(5_000)
    assert summary["slowest_us"] == pytest.approx(16_000)
    assert summary["real_time_factor"] == pytest.approx(0.060 / sum(work))
    assert summary["events_per_s"] == pytest.approx(len(t) / sum(work))


def test_a_burst_widens_the_next_tick_and_loses_nothing(monkeypatch):
    """Ticks of 2 ms: the first is done at 13.5 ms; the five that are over by then get one answer, at 18.5; then three
    that ended meanwhile, at 21.5; from there on every tick has its own."""
    clock = _Clock()
    for module in ("live", "pace"):
        monkeypatch.setattr(f"snnface.{module}.time", clock)
    t = [0, *[1] * 5, *range(2_001, 28_000, 2_000)]
    events = pack(t, np.arange(len(t)) % 11, [0] * len(t), [1] * len(t))
    live = Live(_Slow(clock, 0.0115), identity())
    answers = list(live.run(by_clock(ticks([events], 2_000, "x"), 2_000)))
    assert [a.ticks for a in answers] == [1, 5, 3, 1, 1, 1, 1, 1]
    assert [a.t_us for a in answers] == [2_000, 12_000, 18_000, 20_000, 22_000, 24_000, 26_000, 28_000]
    summary = live.summary()
    assert (summary["ticks"], summary["answers"], summary["widened"]) == (14, 8, 2)
    assert summary["late"] == 1 + 5 + 3 + 1
    assert summary["behind_us"] == pytest.approx(18_500 - 4_000)
    assert (sum(a.events for a in answers), summary["events"]) == (len(t), len(t))
    single = Stream(small.network())
    alone = [single.tick(part) for part in steps_of(events, 2_000, 28_000)]
    for answered, end in zip(answers, np.cumsum([a.ticks for a in answers]), strict=True):
        np.testing.assert_array_equal(answered.tick.answers["landmarks"], alone[end - 1].answers["landmarks"])
        part = alone[end - answered.ticks : end]
        assert answered.tick.spikes == [sum(s) for s in zip(*(a.spikes for a in part), strict=True)]


def test_a_live_source_is_answered_together_where_it_did_not_wait():
    came, go = threading.Event(), threading.Event()

    def source():
        yield 5, np.empty(0, EVENT_DTYPE)
        go.wait(10)
        for _ in range(3):
            yield 5, np.empty(0, EVENT_DTYPE)
        came.set()

    groups = as_they_come(source())
    assert len(next(groups)) == 1
    go.set()
    came.wait(10)
    assert sum(len(group) for group in groups) == 3


def test_what_breaks_a_live_source_is_raised_after_its_ticks():
    def source():
        yield 5, np.empty(0, EVENT_DTYPE)
        raise InputError("camera", "is gone", "Look for it")

    groups = as_they_come(source())
    assert len(next(groups)) == 1
    with pytest.raises(InputError, match="is gone"):
        next(groups)


def test_the_summary_of_nothing():
    assert Live(Stream(small.network()), identity()).summary()["p99_us"] is None


def test_a_stream_of_a_network_without_manifest_or_with_delays_is_refused():
    network = quantise(small.network("graded"), small.batch(DURATION_US, events=900))
    with pytest.raises(InputError, match="no manifest"):
        FixedStream(replace(network, host=None))
    last = network.layers[-1]
    delayed = replace(last, delay=np.ones_like(last.weight))
    with pytest.raises(InputError, match="delays"):
        FixedStream(replace(network, layers=(*network.layers[:-1], delayed)))


@pytest.mark.parametrize(("x", "y", "p"), [(small.WIDTH, 0, 1), (0, small.HEIGHT, 1), (-1, 0, 1), (0, 0, 2)])
def test_events_outside_the_input_are_refused(x, y, p):
    event = np.array([(1, x, y, p)], [(n, "<i8") for n in "txyp"])
    with pytest.raises(InputError, match="the network takes"):
        Stream(small.network()).tick(event)
