"""How near simulated sensors come to real ones, and to v2e on the same pictures: the tables of docs/realism.md.

python tests/measure_realism.py --folder FOLDER --recordings RECORDINGS

Makes ``ours-PRESET.h5`` and ``v2e-PRESET.h5`` in the folder unless they are there: 0.8 s of a synthetic person who
turns the head, 96×96 pixels, from where most moves. Prints Markdown. v2e's columns need ``v2ecore`` on the path.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from snnface.converters.sensors import SENSORS
from snnface.converters.simulator import EventSimulator
from snnface.events import Recording
from snnface.faces import ClipSpec, FaceClip
from snnface.faces.picture import luminance
from snnface.io import write
from snnface.statistics.catalogue import STATISTICS
from snnface.statistics.comparison import Comparison, compared
from snnface.statistics.page import page
from snnface.statistics.source import Counted, counted

SIZE, LENGTH_US = 96, 800_000
OURS = ("clean", "davis346", "davis346-full", "dvxplorer", "imx636", "gen31")
STREET, DOT, PERSON = "evt3_sample.raw", "evt2_sample.raw", "aedat4_sample.aedat4"
#: What a sensor shows: heading, statistic, figure, times, digits.
SHOWN = (
    ("rate, Hz per pixel", "rate", "hz_per_pixel", 1, 2),
    ("shortest interval (0.1 %), µs", "shortest_interval", "shortest_us", 1, 0),
    ("events with one time stamp, mean", "readout", "events_per_time", 1, 2),
    ("row already seen, %", "readout_lines", "row", 100, 0),
    ("column already seen, %", "readout_lines", "column", 100, 0),
    ("hot pixels in a million", "hot_pixels", "pixels", 1e6, 0),
    ("events of hot pixels, %", "hot_pixels", "events", 100, 1),
    ("noise floor, Hz per pixel", "noise_floor", "hz_per_pixel", 1, 2),
    ("noise that is ON, %", "noise_polarity", "on", 100, 0),
)


def film() -> tuple[list[np.ndarray], list[int]]:
    """Luminance of each picture, and its time in µs: at least one a millisecond, from where most moves."""
    clip = FaceClip(ClipSpec(identity=3, au=51, expression=-1, seconds=2, width=SIZE, height=SIZE, seed=7))
    busy = clip.sampling_times(np.array([0, clip.duration_us]))
    starts = np.arange(0, clip.duration_us - LENGTH_US + 1, 50_000)
    start = int(starts[np.argmax([np.count_nonzero((busy >= s) & (busy < s + LENGTH_US)) for s in starts])])
    times = clip.sampling_times(start + np.arange(0, LENGTH_US + 1, 1000))
    return [luminance(picture) for picture in clip.film(times)], (times - start).tolist()


def ours(name: str, light: Sequence[np.ndarray], times: Sequence[int]) -> Recording:
    """What a preset sees."""
    sensor = EventSimulator(SIZE, SIZE, SENSORS[name], seed=1)
    events = np.concatenate([*(sensor.step(p, t) for p, t in zip(light, times, strict=True)), sensor.flush()])
    return Recording(events, SIZE, SIZE)


def v2e(name: str, light: Sequence[np.ndarray], times: Sequence[int], logarithm: bool) -> Recording:
    """What v2e's emulator makes with a preset's figures; ``logarithm``: with ours instead of its own."""
    from v2ecore.emulator import EventEmulator

    s = SENSORS[name]
    emulator = EventEmulator(
        pos_thres=s.threshold_on, neg_thres=s.threshold_off, sigma_thres=s.mismatch * s.threshold_on,
        cutoff_hz=s.cutoff_hz, leak_rate_hz=s.leak_hz, shot_noise_rate_hz=s.shot_hz,
        refractory_period_s=s.refractory_us * 1e-6, seed=1, device="cpu", hdr=logarithm,
    )  # fmt: skip
    shown = (np.log(255 * (p + np.float32(0.01))).astype(np.float32) if logarithm else 255 * p for p in light)
    found = [emulator.generate_events(p, t * 1e-6) for p, t in zip(shown, times, strict=True)]
    t, x, y, p = np.concatenate([f for f in found if f is not None]).T
    us = np.rint(t.astype(float) * 1e6).astype(np.int64)
    order = np.argsort(us, kind="stable")
    return Recording.from_columns(us[order], x[order], y[order], p[order] > 0, SIZE, SIZE)


def make(folder: Path) -> None:
    """Write the recordings that are not there."""
    wanted = {f"ours-{name}": lambda *film, name=name: ours(name, *film) for name in OURS}
    try:
        import v2ecore.emulator  # noqa: F401 - whether it is there
    except ImportError as e:
        print(f"Without v2e: {e}\n")
    else:
        logging.disable(logging.WARNING)
        for name in ("clean", "davis346"):
            wanted[f"v2e-{name}"] = lambda *film, name=name: v2e(name, *film, False)
        wanted["v2e-clean-log"] = lambda *film: v2e("clean", *film, True)
    missing = {name: maker for name, maker in wanted.items() if not (folder / f"{name}.h5").is_file()}
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    light, times = film()
    dark = float(np.mean([(255 * picture < 20).mean() for picture in light]))
    print(f"{len(times)} pictures; {100 * dark:.0f} % of their pixels are below 20 of 255\n", flush=True)
    for name, maker in missing.items():
        write(maker(light, times), folder / f"{name}.h5")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [["", *heads], ["---"] * (1 + len(heads)), *rows]
    print("\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n", flush=True)


def distances(pairs: dict[str, Comparison], names: Sequence[str]) -> None:
    """Distance (halves of the first, of the second) of each pair."""

    def cell(found: Comparison, name: str) -> str:
        values = found.distances[name], found.within[0][name], found.within[1][name]
        far, first, second = ("–" if v is None else f"{v:.2f}" for v in values)
        return f"{far} ({first}, {second})"

    units = {s.name: f"`{s.name}`" + (", decades" if s.unit == "decades" else "") for s in STATISTICS}
    table(list(pairs), [[units[name], *(cell(found, name) for found in pairs.values())] for name in names])


def figures(columns: dict[str, tuple[Comparison, int]]) -> None:
    """What each sensor shows, on the scale of its comparison."""

    def cell(found: Comparison, which: int, statistic: str, figure: str, times: float, digits: int) -> str:
        value = found.measured[which][statistic].figures[figure]
        if value is None:
            return "–"
        support = f" ({(found.scale.support_us or 0) / 1000:.0f} ms)" if statistic == "noise_floor" else ""
        return f"{times * value:,.{digits}f}{support}"

    table(list(columns), [[row[0], *(cell(*column, *row[1:]) for column in columns.values())] for row in SHOWN])


def main() -> None:
    """Print the tables, and write a page beside the recordings for each pair."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--recordings", type=Path, required=True)
    given = parser.parse_args()
    make(given.folder)
    found: dict[Path, Counted] = {}

    def count(path: Path) -> Counted:
        if path not in found:
            found[path] = counted(path)
        return found[path]

    def pair(a: Path, b: Path) -> Comparison:
        both = count(a), count(b)
        answer = compared(*both)
        out = given.folder / f"{a.stem}-{b.stem}.html"
        out.write_text(page(answer, (both[0].whole, both[1].whole), (a.name, b.name)), encoding="utf-8")
        return answer

    real = {n: given.recordings / n for n in (STREET, DOT, PERSON)}
    made = {path.stem: path for path in sorted(given.folder.glob("*.h5"))}
    street, dot = pair(real[STREET], made["ours-imx636"]), pair(real[DOT], made["ours-gen31"])
    person = {n: pair(real[PERSON], made[f"ours-{n}"]) for n in ("dvxplorer", "davis346", "davis346-full")}
    columns = {"street": (street, 0), "imx636": (street, 1), "dot": (dot, 0), "gen31": (dot, 1)}
    columns |= {"person": (person["dvxplorer"], 0)} | {n: (c, 1) for n, c in person.items()}
    figures(columns)
    sensor = [s.name for s in STATISTICS if s.about == "sensor"]
    distances({"street, imx636": street, "dot, gen31": dot} | {f"person, {n}": c for n, c in person.items()}, sensor)
    everything = [s.name for s in STATISTICS]
    scene = dict(person)
    if "v2e-clean" in made:
        scene["v2e, davis346"] = pair(real[PERSON], made["v2e-davis346"])
    distances(scene, [name for name in everything if name not in sensor])
    same = {"ours: clean, davis346": pair(made["ours-clean"], made["ours-davis346"])}
    if "v2e-clean" in made:
        for name in ("clean", "davis346"):
            same[f"{name}: ours, v2e"] = pair(made[f"ours-{name}"], made[f"v2e-{name}"])
        same["clean: ours, v2e with our logarithm"] = pair(made["ours-clean"], made["v2e-clean-log"])
    distances(same, everything)


if __name__ == "__main__":
    main()
