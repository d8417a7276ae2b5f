"""The drivers in ``tests/native``, each a program with its own checks, under the compiler's sanitisers."""

from __future__ import annotations

import functools
import subprocess
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
HERE = library.available() or ("portable",)


def compiled(source: Path, program: Path, sanitiser: str, flags: str = "") -> Path:
    """Build one program against the engine's headers; ``flags`` are those of a level."""
    command, last = BUILD.compiler()
    options = f"-std=c++17 -O1 -g -pthread -fsanitize={sanitiser} -fno-sanitize-recover=all -ffp-contract=off {flags}"
    include = ROOT / "snnface" / "engine" / "src"
    subprocess.run([*command, *options.split(), f"-I{include}", source, "-o", program, *last], check=True)
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


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(("sanitiser", "level"), [
    *[("address,undefined", name) for name in dict.fromkeys((HERE[0], HERE[-1]))],
    ("thread", HERE[-1]),
])  # fmt: skip
def test_a_driver_runs_clean(driver: str, sanitiser: str, level: str, tmp_path: Path, sanitiser_works) -> None:
    """Memory and undefined behaviour with the least and the most of instructions; races on threads of our own."""
    sanitiser_works(sanitiser)
    done = run(compiled(NATIVE / driver, tmp_path / "driver", sanitiser, BUILD.LEVELS.get(level, "")))
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
