"""The command line: one table of commands, collected from what each room registers.

A command is a plain function with typer annotations that returns its answer as a dict. This module adds
``--json``, turns errors into one line, and imports a room only when one of its commands is used.
"""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from snnface import __version__
from snnface.errors import InputError

#: One line a command, in the order of a user's work; kept here so that ``snnface --help`` loads no room.
SUMMARIES: dict[str, str] = {
    "info": "What a recording or data set holds.",
    "synth": "Make labelled synthetic faces as events (and paired RGB).",
    "convert": "Turn recordings, videos and published sets into one another's formats.",
    "view": "A look at a recording: a page that plays it, a film, a picture.",
    "compare": "Event statistics of two recordings or data sets, with a distance for each.",
    "teach": "Train an RGB teacher; write what it says of the clips.",
    "train": "Train one recipe into one run folder.",
    "eval": "Measure a network on a data set.",
    "run": "Stream a recording through a network, tick by tick.",
    "export": "Write a network for Lava (Loihi) or as NIR, with manifest and certificate.",
    "simulate": "Run any netx or NIR file: every spike and state.",
    "verify": "Prove that two implementations compute the same spikes.",
    "profile": "Count operations; energy, latency and cores by chip.",
    "chips": "Chips: published figures, placement on cores, checks.",
    "explore": "Train a family of networks: accuracy against energy, latency and cores.",
    "prune": "Leave out channels that stay silent.",
    "neurobench": "NeuroBench's metrics of a network, beside our own counts.",
    "lava": "Install real Lava beside the package, or tell what is there.",
    "bench": "Time training, streaming and reading side by side with other libraries.",
    "demo": "The whole path once, with a report.",
    "results": "The long evaluation behind the tables of the docs.",
}


class Found(Exception):
    """Checked and found wanting: print the answer, end with exit code 1."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__("found wanting")
        self.answer = answer


def answering(function: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    """Add ``--json`` to a command that returns a dict, and print that dict."""
    signature = inspect.signature(function, eval_str=True)

    @functools.wraps(function)
    def command(*args: Any, as_json: bool, **kwargs: Any) -> None:
        try:
            answer, code = function(*args, **kwargs), 0
        except Found as found:
            answer, code = found.answer, 1
        sys.stdout.write(json.dumps(answer) + "\n" if as_json else readable(answer))
        raise typer.Exit(code)

    option = inspect.Parameter(
        "as_json",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")],
    )
    parameters = [*signature.parameters.values(), option]
    command.__signature__ = signature.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def readable(answer: dict[str, Any], indent: str = "") -> str:
    """An answer as aligned lines; nested values are indented."""
    width = max((len(k) for k in answer), default=0)
    lines = []
    for key, value in answer.items():
        if isinstance(value, dict):
            lines.append(f"{indent}{key}\n{readable(value, indent + '  ')}".rstrip("\n"))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines.append(f"{indent}{key}")
            lines += [f"{indent}  - " + ", ".join(f"{k} {_short(v)}" for k, v in row.items()) for row in value]
        else:
            lines.append(f"{indent}{key:{width}}  {_short(value)}")
    return "\n".join(lines) + "\n"


def _short(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and value and isinstance(value[0], list):
        return f"{len(value)} rows of {len(value[0])}, shown by --json"
    if isinstance(value, list):
        return " ".join(_short(v) for v in value)
    return str(value)


def _application(wanted: str | None) -> typer.Typer:
    """All commands by name; only the wanted one is imported, the others stand in the help as one line."""
    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode="rich",
        help="Spiking neural networks that read faces from event cameras.",
        epilog="Each command explains itself: snnface COMMAND --help",
    )

    @app.callback(invoke_without_command=True)
    def _options(
        version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
    ) -> None:
        if version:
            typer.echo(f"snnface {__version__}")
            raise typer.Exit(0)

    registered = {e.name: e for e in entry_points(group="snnface.commands")}
    for name in [*(n for n in SUMMARIES if n in registered), *sorted(registered.keys() - SUMMARIES.keys())]:
        if name != wanted:
            app.command(name, help=SUMMARIES.get(name))(lambda: None)
            continue
        target = registered[name].load()
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=name)
        else:
            app.command(name)(answering(target))
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit 0 done, 1 checked and found wanting, 2 bad use or bad input."""
    arguments = sys.argv[1:] if arguments is None else arguments
    wanted = next((a for a in arguments if not a.startswith("-")), None)
    where = " ".join(filter(None, ["snnface", wanted]))
    try:
        code = _application(wanted)(args=arguments, prog_name="snnface", standalone_mode=False)
    except TyperException as e:
        code = _fail(f"{where}: {e.format_message().rstrip('.')}. See {where} --help.")
    except InputError as e:
        code = _fail(f"{e.where}: {e.what}. {e.fix}.")
    except MemoryError:
        code = _fail(f"{where}: this machine has too little memory. Use shorter clips or smaller batches.")
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    if code == 130:  # typer answers Ctrl-C with this code by itself, without a word
        sys.stderr.write("interrupted; what was finished is kept\n")
    sys.exit(code)


def _fail(message: str) -> int:
    sys.stderr.write("error: " + " ".join(message.split()) + "\n")
    return 2
