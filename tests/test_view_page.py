"""The page of ``snnface view`` in a real browser: it plays, seeks, and draws what the films draw."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import view_files as files
from browser import Browser, browser

from snnface.view.colours import table
from snnface.view.command import view
from snnface.view.source import open_source
from snnface.view.surface import Surface

FIRST = "performance.getEntriesByName('first picture')"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def faces(folder: Path) -> Path:
    return files.faces(folder / "faces.h5")


@pytest.fixture(scope="module")
def page(folder: Path, faces: Path) -> Path:
    """A clip with RGB, labels and the answers of a random network."""
    model = files.network(folder / "small.safetensors")
    view(faces, out=folder / "look.html", checkpoint=model)
    return folder / "look.html"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        found.size(1280, 900)
        yield found


@pytest.fixture
def player(chromium: Browser, page: Path) -> Iterator[Browser]:
    """The page, freshly opened and drawn; it must stay silent and ask for nothing."""
    chromium.log.clear()
    chromium.asked.clear()
    chromium.open(page)
    chromium.until(f"{FIRST}.length")
    yield chromium
    # Reading a canvas back, as these tests do and the page does not, is slow, which the browser remarks.
    assert [line for line in chromium.log if "readback operations using getImageData" not in line] == []
    assert [url for url in chromium.asked if not url.startswith(("file:", "data:"))] == []


def now(player: Browser) -> float:
    return float(player.value("document.getElementById('moment').value"))


def test_page_stands_alone(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|WebSocket|\$\{?title", text)


def test_a_page_that_complains_is_heard(chromium: Browser, tmp_path: Path) -> None:
    """The same eyes on a page that does what ours must not."""
    bad = tmp_path / "bad.html"
    bad.write_text('<img src="http://127.0.0.1:9/a.png"><script>nothing();</script>')
    chromium.log.clear()
    chromium.asked.clear()
    chromium.open(bad)
    assert any("nothing is not defined" in line for line in chromium.log)
    assert "http://127.0.0.1:9/a.png" in chromium.asked


def test_it_plays_and_pauses(player: Browser) -> None:
    player.press("Home")
    assert now(player) == 0
    player.press(" ")
    player.until("Number(document.getElementById('moment').value) > 50000")
    assert player.value("document.getElementById('play').textContent") == "Pause"
    player.press(" ")
    stopped = now(player)
    player.value("new Promise((done) => setTimeout(done, 120))")
    assert now(player) == stopped
    assert player.value("document.getElementById('play').textContent") == "Play"


def test_keys_step_and_change_the_speed(player: Browser) -> None:
    duration = player.value("Number(document.getElementById('moment').max)")
    player.press("End")
    assert now(player) == duration
    player.press("Home")
    for _ in range(20):
        player.press("ArrowDown")
    pace = player.value("document.getElementById('pace').textContent")
    assert "µs a picture" in pace
    player.press("ArrowRight")
    slowest = now(player)
    assert 1 <= slowest <= 2
    player.press("ArrowRight", shift=True)
    assert now(player) == pytest.approx(11 * slowest, abs=2)
    player.press("ArrowLeft")
    assert now(player) == pytest.approx(10 * slowest, abs=2)
    player.press("ArrowUp")
    assert player.value("document.getElementById('pace').textContent") != pace


def test_the_curves_are_a_scrubber(player: Browser) -> None:
    box = player.value(
        "(({x, y, width}) => [x, y, width])(document.getElementById('curves').getBoundingClientRect())"
    )
    duration = player.value("Number(document.getElementById('moment').max)")
    player.mouse("mousePressed", box[0] + 0.25 * box[2], box[1] + 20)
    assert now(player) == pytest.approx(0.25 * duration, rel=0.02)
    player.mouse("mouseMoved", box[0] + 0.75 * box[2], box[1] + 20)
    player.mouse("mouseReleased", box[0] + 0.75 * box[2], box[1] + 20)
    assert now(player) == pytest.approx(0.75 * duration, rel=0.02)


def _pixels(player: Browser) -> np.ndarray:
    """The event picture of the page, uint8 ``[H, W, 3]``."""
    found = player.value(
        "((c) => [c.width, c.height, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data])"
        "(document.getElementById('events'))"
    )
    width, height = found[:2]
    return np.array(found[2:], np.uint8).reshape(height, width, 4)[..., :3]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_page_and_film_draw_the_same_events(player: Browser, page: Path, faces: Path, theme) -> None:
    """The same colours for both, but for what the page forgets: events of more than four decay times ago."""
    player.scheme(theme)
    player.open(page)
    player.until(f"{FIRST}.length")
    source = open_source(faces)
    for share in (0.9, 0.3):  # also back in time
        t = round(share * source.duration_us)
        player.value(
            f"((m) => {{ m.value = {t}; m.dispatchEvent(new Event('input')); }})(document.getElementById('moment'))"
        )
        surface = Surface(source.width, source.height, 30_000)
        surface.advance(source.events(max(0, t - 120_000 + 1), t + 1), t)
        expected = surface.picture(table(theme)).astype(int)
        assert len(np.unique(expected.reshape(-1, 3), axis=0)) > 10
        assert np.abs(_pixels(player) - expected).max() <= 2


def _coloured(player: Browser, canvas: str) -> int:
    """Number of pixels of a canvas that are not empty."""
    return player.value(
        "((c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
        f".filter((v, i) => i % 4 === 3 && v).length)(document.getElementById('{canvas}'))"
    )


def test_landmarks_answers_and_rgb_are_drawn(player: Browser) -> None:
    player.press("End")
    assert _coloured(player, "marks") > 100
    player.value("document.getElementById('points').click()")
    assert _coloured(player, "marks") == 0
    player.until("document.getElementById('photo').width > 300")
    assert _coloured(player, "photo") > 10_000
    rows = player.value("[...document.querySelectorAll('#answers li')].map((row) => row.innerText)")
    assert len(rows) == 5
    assert all(re.search(r"\d+ %$", row) for row in rows)


def test_it_fits_a_phone_and_a_desk(player: Browser) -> None:
    for width, height in ((390, 844), (1280, 900), (1920, 1080)):
        player.size(width, height)
        assert player.value("document.documentElement.scrollWidth") <= width
    seen = player.value("document.getElementById('moment').getBoundingClientRect().bottom")
    assert seen <= 1080
    player.size(1280, 900)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2.5 s of 1280×720 pixels with 2 million events."""
    count = 2_000_000
    folder = tmp_path_factory.mktemp("large")
    files.rings(folder / "rings.dat", count)
    answer = view(folder / "rings.dat", out=folder / "rings.html")
    assert answer["events"] == count
    assert answer["bytes"] < 5 * count
    return folder / "rings.html"


def test_the_first_picture_of_millions_of_events_comes_within_3_s(chromium: Browser, large: Path) -> None:
    """Measured in seconds of work of the page's thread, so that other work on the machine does not count."""
    chromium.log.clear()
    chromium.call("Performance.disable")
    chromium.call("Performance.setTimeDomain", timeDomain="threadTicks")
    chromium.call("Performance.enable")

    def spent() -> float:
        metrics = chromium.call("Performance.getMetrics")["metrics"]
        return next(m["value"] for m in metrics if m["name"] == "TaskDuration")

    before = spent()
    chromium.open(large)
    chromium.until(f"{FIRST}.length")
    seconds = spent() - before
    assert seconds < 3, seconds
    chromium.until("!document.querySelector('script.events')")
    # Seeking, with everything there.
    start = spent()
    for share in (0.1, 0.9, 0.5, 0.7):
        moment = round(2_500_000 * share)
        chromium.value(
            f"((m) => {{ m.value = {moment}; m.dispatchEvent(new Event('input')); }})"
            "(document.getElementById('moment'))"
        )
    seconds = (spent() - start) / 4
    assert seconds < 0.25, seconds
    assert chromium.log == []
