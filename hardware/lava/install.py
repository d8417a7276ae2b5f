"""The two-step installation of real Lava beside the package.

lava-nc and lava-dl ask for Python 3.10, old numpy and torch; their network exchange runs on current versions
with small patches (:mod:`snnface.hardware.lava.shims`). So the two come without their requirements, and what
they really need is installed without touching what is there.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distributions
from typing import Any

from snnface.errors import InputError
from snnface.hardware.lava.shims import PATCHES

WHEELS = ("lava-nc==0.10.0", "lava-dl==0.6.0")
NEEDS = ("networkx", "asteval", "scipy", "h5py", "numpy")


def status() -> dict[str, Any]:
    """What is there: ``lava_nc``, ``lava_dl`` (version or None), its ``patches``, what is ``missing``."""
    found = {d.metadata["Name"].lower(): d.version for d in distributions() if d.metadata["Name"]}
    return {
        "lava_nc": found.get("lava-nc"),
        "lava_dl": found.get("lava-dl"),
        "patches": PATCHES,
        "missing": [name for name in ("lava-nc", "lava-dl", *NEEDS) if name not in found],
    }


def install() -> dict[str, Any]:
    """Install what is missing with this Python's pip; returns :func:`status`.

    Raises :class:`InputError` where pip fails.
    """
    missing = status()["missing"]
    needs = [name for name in NEEDS if name in missing]
    if needs:
        # everything that is there stays as it is, torch and numpy above all
        kept = [f"{name}=={version}" for name, version in _installed(("numpy", "torch")).items()]
        _pip(*needs, *kept)
    wheels = [wheel for wheel in WHEELS if wheel.split("==")[0] in missing]
    if wheels:
        _pip("--no-deps", "--ignore-requires-python", *wheels)
    return status()


def _installed(names: tuple[str, ...]) -> dict[str, str]:
    return {n: d.version for d in distributions() if (n := (d.metadata["Name"] or "").lower()) in names}


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    try:
        subprocess.run(command, check=True, stdout=sys.stderr)
    except (subprocess.CalledProcessError, OSError) as e:
        raise InputError("lava install", f"pip failed ({e})", "Read its output above and try again") from e
