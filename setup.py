"""Compiles the native engine; everything else about the package is in pyproject.toml.

One source, a plain shared library for each level of instructions, chosen at run time. Without a C++17 compiler the
package installs all the same and runs on torch alone. CXX, CC, CFLAGS, CXXFLAGS and LDFLAGS count.
"""

import os
import platform
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ENGINE = Path("snnface/engine")
SOURCE = ENGINE / "src" / "engine.cpp"
HEADERS = sorted((ENGINE / "src").glob("*.h"))
SUFFIX = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")

# Products and sums stay apart unless the source asks for a fused one, so that all levels and kernels round alike.
FLAGS = (
    "-std=c++17 -O3 -fPIC -shared -pthread -fvisibility=hidden -fno-math-errno -fno-trapping-math -ffp-contract=off"
)
AVX2 = "-mavx2 -mfma -mf16c -mbmi -mbmi2 -mpopcnt"
AVX512 = "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi -mavx512vbmi2 -mavx512vpopcntdq"
WIDE = f"{AVX2} {AVX512} -mprefer-vector-width=512"
# What snnface/engine/src/cpu.h looks for in the processor.
LEVELS = {"avx2": AVX2, "avx512": WIDE, "amx": f"{WIDE} -mavx512bf16 -mamx-tile -mamx-bf16"}
if platform.machine().lower() not in ("x86_64", "amd64"):
    LEVELS = {}


def compiler() -> tuple[list[str], list[str]]:
    """The C++ compiler's command and what it needs at the end of its line."""
    if command := shlex.split(os.environ.get("CXX", "")):
        return command, []
    if command := shlex.split(os.environ.get("CC", "")):
        return command, ["-lc++" if sys.platform == "darwin" else "-lstdc++"]
    return ["c++"], []


def build(level: str, flags: str, folder: Path) -> bool:
    """Compile one level into ``folder`` unless it is there and newer than its sources; False where that fails."""
    target = folder / f"_engine_{level}{SUFFIX}"
    newest = max(p.stat().st_mtime for p in (SOURCE, *HEADERS, Path(__file__)))
    if target.is_file() and target.stat().st_mtime > newest:
        return True
    # Beside its name first: a process may have the old library open.
    part = target.with_name(f"{target.name}.part{os.getpid()}")
    command, last = compiler()
    own = [word for name in ("CFLAGS", "CXXFLAGS", "LDFLAGS") for word in shlex.split(os.environ.get(name, ""))]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run([*command, *shlex.split(f"{FLAGS} {flags}"), *own, SOURCE, "-o", part, *last], check=True)
        part.replace(target)
        return True
    except (OSError, subprocess.CalledProcessError) as error:
        why = error if isinstance(error, OSError) else f"{shlex.join(command)} ended with {error.returncode}"
        # One write: other levels are built beside this one.
        sys.stderr.write(f"snnface: no {level} engine, the package works without it ({why})\n")
        part.unlink(missing_ok=True)
        target.unlink(missing_ok=True)  # an older one would not fit the sources
        return False


class BuildEngine(build_ext):
    """All levels, straight to where they belong: they are libraries for ctypes, no modules of Python."""

    def run(self) -> None:
        folder = ENGINE if self.inplace else Path(self.build_lib) / ENGINE
        # The portable one tells what the processor can run: without it the others are of no use.
        if build("portable", "", folder):
            with ThreadPoolExecutor() as threads:
                list(threads.map(lambda level: build(*level, folder), LEVELS.items()))

    def get_outputs(self) -> list[str]:
        folder = ENGINE if self.inplace else Path(self.build_lib) / ENGINE
        return [str(path) for path in sorted(folder.glob(f"_engine_*{SUFFIX}"))]

    def get_output_mapping(self) -> dict[str, str]:
        return {}


if __name__ == "__main__":
    # One extension stands for all levels: it makes the wheel one of a platform.
    engine = Extension("snnface.engine._engine", [str(SOURCE)], depends=[str(p) for p in HEADERS], optional=True)
    setup(ext_modules=[engine], cmdclass={"build_ext": BuildEngine})
