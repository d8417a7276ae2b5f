"""A flow of events in ticks, and lines from standard input."""

from __future__ import annotations

import io

import numpy as np
import pytest
import small_networks as small
from hypothesis import given, settings
from hypothesis import strategies as st

from snnface.errors import InputError
from snnface.events import pack
from snnface.ticks import csv_blocks, ticks


@given(
    t=st.lists(st.integers(0, 5_000), min_size=1, max_size=40).map(sorted),
    cuts=st.lists(st.integers(0, 40), max_size=5).map(sorted),
    tick_us=st.integers(1, 900),
    origin=st.integers(-(10**6), 10**12),
)
@settings(max_examples=80, deadline=None)
def test_ticks_hold_every_event_once_and_in_its_place(t, cuts, tick_us, origin):
    events = pack(np.array(t) + origin, np.arange(len(t)), [0] * len(t), [1] * len(t))
    found = list(ticks(np.split(events, np.minimum(cuts, len(t))), tick_us, "x"))
    assert {first for first, _ in found} == {events["t"][0]}
    joined = np.concatenate([part for _, part in found])
    np.testing.assert_array_equal(joined["x"], events["x"])
    np.testing.assert_array_equal(joined["t"], events["t"] - events["t"][0])
    for k, (_, part) in enumerate(found):
        assert ((part["t"] > k * tick_us) | (part["t"] == 0) & (k == 0)).all()
        assert (part["t"] <= (k + 1) * tick_us).all()
    assert len(found) == max(1, -(-(t[-1] - t[0]) // tick_us))


def test_a_tick_is_given_as_soon_as_it_is_over():
    def live():
        yield pack([5, 9], [0, 0], [0, 0], [1, 1])
        yield pack([16], [0], [0], [1])
        raise AssertionError("asked for more than needed")

    assert len(next(ticks(live(), 10, "x"))[1]) == 2


@pytest.mark.parametrize(("t", "what"), [([5, 4], "backwards"), ([0, 10**13], "jumps")])
def test_broken_clocks_are_refused(t, what):
    blocks = [pack(t[i : i + 1], [0], [0], [1]) for i in range(2)]
    with pytest.raises(InputError, match=what):
        list(ticks(blocks, 100, "x"))


class _Trickle(io.BytesIO):
    """Standard input that gives a few bytes at a time."""

    def read1(self, size=-1):
        return super().read1(7)


@pytest.mark.parametrize("header", ["t,x,y,p\n", ""])
@pytest.mark.parametrize("end", ["\n", ""])
def test_lines_are_read_as_they_come(header, end):
    events = small.clip(10**12, 200)
    text = header + "\n".join(f"{t},{x},{y},{int(p)}" for t, x, y, p in events.tolist()) + end
    got = np.concatenate([*csv_blocks(_Trickle(text.encode()), small.WIDTH, small.HEIGHT)])
    for name in "txyp":
        np.testing.assert_array_equal(got[name], events[name])


@pytest.mark.parametrize(
    "line",
    ["1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,3,-1", "1,2,3,2", "1,11,3,1", "1,2,9,1", "1,-1,3,1", "0,0,0,1",
     "1.5,2,3,1", f"{2**70},1,1,1", "\x00\x01\xff"],
)  # fmt: skip
def test_bad_lines_are_named(line):
    text = f"t,x,y,p\n1,1,1,1\n{line}\n"
    with pytest.raises(InputError, match="standard input"):
        list(csv_blocks(io.BytesIO(text.encode("latin-1")), small.WIDTH, small.HEIGHT))
