"""How the page of ``snnface view`` plays in a real browser.

python tests/measure_view.py --events 4000000                              # 2.5 s of moving rings, 1280×720 pixels
python tests/measure_view.py faces.h5 --checkpoint model.safetensors --shots FOLDER

Prints one JSON object: events, MB of the page, seconds to the first picture (since navigation began, and of work
of the page's thread alone), pictures played in a second at the speed of life and at a twentieth of it, milliseconds
to draw another moment, and what the page wrote to its console. With ``--shots``, pictures of it playing, paused and
scrubbed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import view_files as files
from browser import Browser, browser

from snnface.view.command import view

FIRST = "performance.getEntriesByName('first picture')"
#: Pictures that differ in time, counted for some milliseconds.
PLAYED = """
new Promise((done) => {
  const moment = document.getElementById("moment"), start = performance.now();
  let count = 0, last = moment.value;
  const look = (now) => {
    if (moment.value !== last) { count++; last = moment.value; }
    if (now - start < %d) requestAnimationFrame(look); else done(1000 * count / (now - start));
  };
  requestAnimationFrame(look);
})
"""
SEEK = """
((shares) => {
  const moment = document.getElementById("moment"), times = [];
  for (const share of shares) {
    const start = performance.now();
    moment.value = share * moment.max;
    moment.dispatchEvent(new Event("input"));
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[times.length >> 1];
})([0.1, 0.9, 0.5, 0.7, 0.3, 0.99, 0.02])
"""


def work_s(page: Browser) -> float:
    """Seconds that the page's thread has worked."""
    metrics = page.call("Performance.getMetrics")["metrics"]
    return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))


def seen(page: Browser, file: Path, shots: Path | None) -> dict[str, Any]:
    """Open a page and use it."""
    page.size(1440, 900)
    page.call("Performance.enable", timeDomain="threadTicks")
    before = work_s(page)
    page.open(file)
    page.until(f"{FIRST}.length")
    found = {"first_picture_s": page.value(f"{FIRST}[0].startTime") / 1e3, "work_s": work_s(page) - before}
    page.until("!document.querySelector('script.events')")
    found["all_unpacked_s"] = page.value("performance.now()") / 1e3

    def shoot(name: str) -> None:
        if shots is not None:
            shots.mkdir(parents=True, exist_ok=True)
            page.screenshot(shots / f"{name}.png")

    shoot("opened")
    page.press("Home")
    page.press(" ")
    found["played_hz"] = page.value(PLAYED % 2_000)
    shoot("playing")
    page.press(" ")
    shoot("paused")
    for _ in range(4):
        page.press("ArrowDown")
    found["pace"] = page.value("document.getElementById('pace').textContent")
    page.press(" ")
    found["slow_played_hz"] = page.value(PLAYED % 1_000)
    page.press(" ")
    found["seek_ms"] = page.value(SEEK)
    shoot("scrubbed")
    page.scheme("light")
    shoot("light")
    page.size(390, 844, 2)
    page.scheme("dark")
    shoot("phone")
    asked = [url for url in page.asked if not url.startswith(("file:", "data:"))]
    return found | {"console": page.log, "asked_for": asked}


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--clip", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--shots", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = given.file or files.rings(Path(folder, "rings.dat"), given.events)
        out = Path(folder, "look.html")
        answer = view(file, out=out, clip=given.clip, checkpoint=given.checkpoint)
        profile = Path(folder, "profile")
        profile.mkdir()
        with browser(profile) as page:
            found = seen(page, out, given.shots)
    about = {name: answer[name] for name in ("events", "width", "height")}
    seconds = (answer["stop_us"] - answer["start_us"]) / 1e6
    about |= {"seconds": seconds, "page_mb": answer["bytes"] / 1e6}
    print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in (about | found).items()}, indent=1))


if __name__ == "__main__":
    main()
