"""``snnface compare`` from files to its answer and its page."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from snnface.errors import InputError
from snnface.events import Recording, pack
from snnface.io import write
from snnface.statistics.catalogue import STATISTICS, Curve
from snnface.statistics.command import compare
from snnface.statistics.plots import curve_plot, density_picture

NAMES = [s.name for s in STATISTICS]


def _recording(seed: int, size: int = 24, events: int = 3000, ms: int = 400) -> Recording:
    random = np.random.default_rng(seed)
    t = 10**9 + np.sort(random.integers(0, ms * 1000, events))
    x, y, p = (random.integers(0, n, events) for n in (size, size, 2))
    return Recording(pack(t, x, y, p), size, size)


class _Structure(HTMLParser):
    """Ids and addresses of a page, and whether its elements close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        self.ids += [names["id"]] if "id" in names else []
        self.addresses += [names[a] for a in ("src", "href") if names.get(a)]
        if tag not in {"meta", "link", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_data_set_against_recording(tiny_path: Path, tmp_path: Path) -> None:
    street = tmp_path / "street <1>.es"
    write(_recording(1), street)
    out = tmp_path / "page.html"
    answer = compare(tiny_path, street, out)
    json.dumps(answer, allow_nan=False)
    assert list(answer["distances"]) == list(answer["units"]) == NAMES
    assert set(answer["within"]) == {"a", "b"}
    assert all(list(answer[side]["statistics"]) == NAMES for side in "ab")
    assert answer["a"]["segments"] == 24
    assert (answer["b"]["width"], answer["b"]["segments"]) == (24, 1)
    measured = [n for n in NAMES if answer["distances"][n] is not None]
    assert len(measured) == len(NAMES)
    assert answer["within"]["b"]["noise_floor"] < answer["distances"]["noise_floor"]
    text = out.read_text(encoding="utf-8")
    structure = _Structure()
    structure.feed(text)
    assert structure.open == []
    assert len(structure.ids) == len(set(structure.ids))
    assert {*NAMES, "distances", "sensors"} <= set(structure.ids)
    assert all(a.startswith(("data:", "#")) for a in structure.addresses)
    assert {a[1:] for a in structure.addresses if a.startswith("#")} <= set(structure.ids)
    assert not re.search(r"https?://|@import|url\(|<script", text)
    assert "street &lt;1&gt;.es" in text
    assert "street <1>" not in text
    for statistic in STATISTICS:
        assert f"{answer['distances'][statistic.name]:.3f}" in text


def test_a_file_with_itself(tiny_path: Path, tmp_path: Path) -> None:
    answer = compare(tiny_path, tiny_path, tmp_path / "page.html", clips=4)
    assert answer["a"]["segments"] == 4
    assert all(d == pytest.approx(0, abs=1e-7) for d in answer["distances"].values())
    assert answer["a"]["statistics"] == answer["b"]["statistics"]


def test_what_a_recording_is_too_short_for_has_no_distance(tmp_path: Path) -> None:
    for name, ms in (("long.es", 500), ("short.es", 1)):
        write(_recording(2, ms=ms), tmp_path / name)
    answer = compare(tmp_path / "long.es", tmp_path / "short.es", tmp_path / "page.html")
    assert answer["distances"]["rate_over_time"] is None
    assert answer["scale"]["rate_window_us"] is None
    assert answer["distances"]["rate"] > 2
    assert "Not measured" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_sizes_of_files_that_do_not_state_theirs(tmp_path: Path) -> None:
    for name, size in (("a.csv", 24), ("b.csv", 12)):
        write(_recording(3, size), tmp_path / name)
    both = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "page.html"
    answer = compare(*both, size=["24x24", "12x12"])
    assert (answer["a"]["width"], answer["b"]["width"]) == (24, 12)
    assert compare(*both, size=["24x24"])["b"]["width"] == 24
    for sizes, what in ((None, "--size"), (["24x24"] * 3, "3 times"), (["12"], "not a size")):
        with pytest.raises(InputError, match=what):
            compare(*both, size=sizes)


def test_bad_use_leaves_no_page(tiny_path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.html"):
        compare(tiny_path, tiny_path, tmp_path / "page.txt")
    with pytest.raises(InputError, match="does not exist"):
        compare(tiny_path, tmp_path / "absent.h5", tmp_path / "page.html")
    write(Recording(pack([5, 5], [0, 1], [0, 1], [0, 1]), 4, 4), tmp_path / "moment.dat")
    with pytest.raises(InputError, match="no two different times"):
        compare(tiny_path, tmp_path / "moment.dat", tmp_path / "page.html")
    assert not list(tmp_path.glob("*.html"))


def test_curves_lie_where_their_values_are() -> None:
    x, y = np.array([1.0, 10, 100]), np.array([0.01, 1, 100])
    svg = curve_plot(Curve("x", "y", log_x=True, log_y=True), (x, y), (x[:0], y[:0]), "a", "t")
    points = re.search(r'class="line a" points="([^"]+)"', svg)
    assert points
    (x0, y0), (x1, y1), (x2, y2) = (map(float, p.split(",")) for p in points[1].split())
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert y0 > y2


def test_large_sensors_are_drawn_in_blocks() -> None:
    counts = np.zeros((2, 1280 * 720), np.int64)
    counts[1, :4000] = 3
    assert density_picture(counts, 1280, 720).startswith("data:image/png;base64,")


def test_a_real_row_readout_shows(tmp_path: Path) -> None:
    folder = os.environ.get("SNNFACE_DATA")
    street = Path(folder or "") / "recordings" / "evt3_sample.raw"
    if folder is None or not street.exists():
        pytest.skip("set SNNFACE_DATA to a folder with recordings/evt3_sample.raw")
    answer = compare(street, street.with_name("aedat4_sample.aedat4"), tmp_path / "page.html")
    rows = answer["a"]["statistics"]["readout_lines"]
    assert rows["row"] > 2 * rows["column"]
    columns = answer["b"]["statistics"]["readout_lines"]
    assert columns["column"] > 2 * columns["row"]
    assert answer["distances"]["readout"] > 5 * answer["within"]["a"]["readout"]
