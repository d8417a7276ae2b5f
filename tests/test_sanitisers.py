"""The drivers in ``tests/native``, each a program with its own checks, under the compiler's sanitisers."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import engine_setup
import pytest

from snnface.engine import library

ROOT = engine_setup.ROOT
NATIVE = ROOT / "tests" / "native"
DRIVERS = sorted(path.name for path in NATIVE.glob("*.cpp"))
FAULTS = {
    "address,undefined": "int main(int n, char**) { volatile int* p = new int[n]; p[n] = 1; delete[] p; }",
    "thread": "#include <thread>\nint main() { int n = 0; std::thread t([&] { ++n; }); ++n; t.join(); return n; }",
}
BUILD = engine_setup.load()
#: The highest level of vectors: sanitisers do not see what a matrix unit reads.
HIGHEST = next((name for name in reversed(library.available()) if name != "amx"), "portable")
#: Memory and undefined behaviour with the least of instructions and an emulated matrix unit, and with the most; races
#: on threads of our own.
EMULATED = "emulated"
KINDS = [("address,undefined", EMULATED), ("address,undefined", HIGHEST), ("thread", HIGHEST)]
FLAGS = {**BUILD.LEVELS, EMULATED: '-DSNN_TILES="emulated_tiles.h"'}
# Most of the time goes into compiling: no optimisation, no copies of kernels in their callers (`always_inline`), and
# of -g the line numbers that a report shows.
OPTIONS = "-std=c++17 -O0 -g1 -w -pthread -Dalways_inline=unused -fno-sanitize-recover=all -ffp-contract=off"


def compiled(source: Path, program: Path, sanitiser: str, flags: str = "") -> Path:
    """Build one program against the engine's headers; ``flags`` are those of a level."""
    command, last = BUILD.compiler()
    options = f"{OPTIONS} -fsanitize={sanitiser} {flags}"
    include = ROOT / "snnface" / "engine" / "src"
    paths = (f"-I{include}", f"-I{NATIVE}")
    subprocess.run([*command, *options.split(), *paths, source, "-o", program, *last], check=True)
    return program


def run(program: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program], capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def sanitiser_works(tmp_path_factory: pytest.TempPathFactory):
    """Skips the test where a sanitiser does not find a planted fault."""

    @functools.cache
    def finds_fault(sanitiser: str) -> bool:
        folder = tmp_path_factory.mktemp("fault")
        source = folder / "fault.cpp"
        source.write_text(FAULTS[sanitiser])
        try:
            return "Sanitizer: " in run(compiled(source, folder / "fault", sanitiser)).stderr
        except (OSError, subprocess.CalledProcessError):
            return False

    def check(sanitiser: str) -> None:
        if not finds_fault(sanitiser):
            pytest.skip(f"{' '.join(BUILD.compiler()[0])} has no working -fsanitize={sanitiser}")

    return check


@pytest.fixture(scope="module", params=DRIVERS)
def programs(request, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Future[Path]]]:
    """A driver, built for each kind of run, as many at once as there are cores."""
    source, folder = NATIVE / request.param, tmp_path_factory.mktemp("driver")
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        yield {
            (sanitiser, level): threads.submit(compiled, source, folder / f"{i}", sanitiser, FLAGS.get(level, ""))
            for i, (sanitiser, level) in enumerate(KINDS)
        }


@pytest.mark.parametrize(("sanitiser", "level"), KINDS)
def test_a_driver_runs_clean(sanitiser: str, level: str, programs, sanitiser_works) -> None:
    sanitiser_works(sanitiser)
    done = run(programs[sanitiser, level].result())
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
