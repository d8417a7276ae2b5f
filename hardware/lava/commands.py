"""``snnface lava``: install real Lava, or tell what is there."""

from __future__ import annotations

from typing import Any

import typer

from snnface.cli import Found, answering
from snnface.hardware.lava import install as installation

app = typer.Typer(no_args_is_help=True, help="Real Lava beside the package.")


def install() -> dict[str, Any]:
    """Install lava-nc and lava-dl in two steps, leaving torch and numpy as they are.

    Example: snnface lava install
    """
    return installation.install()


def status() -> dict[str, Any]:
    """Tell which Lava is installed and which patches its import takes; exit code 1 where it is absent.

    Example: snnface lava status --json
    """
    answer = installation.status()
    if answer["missing"]:
        raise Found(answer)
    return answer


app.command("install")(answering(install))
app.command("status")(answering(status))
