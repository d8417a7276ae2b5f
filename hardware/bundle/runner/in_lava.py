"""The same network in Lava's fixed-point simulation, or on a Loihi 2 chip, beside the integer runner.

Lava runs in a process of its own (``python -m runner.in_lava JOB.json``), which is ended with all of its children:
where one of them fails, the others wait for ever.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .files import Problem

if TYPE_CHECKING:
    from .play import Player, Step

#: What Intel's extension of Lava (for members of its research community) adds, and a chip needs.
_EXTENSION = ("lava.magma.compiler.subcompilers.nc.ncproc_compiler", "lava.proc.embedded_io")


def check_installed(hardware: bool) -> None:
    """Raise :class:`Problem` where Lava, or for a chip Intel's extension, is absent."""
    if not all(map(_found, ("lava.magma", "lava.lib.dl.netx"))):
        fix = "Install lava-nc 0.10.0 and lava-dl 0.6.0 as README.md says, or leave it out: the integers are the same"
        raise Problem("--loihi2" if hardware else "--lava", "Lava is not installed here", fix)
    if hardware and not all(map(_found, _EXTENSION)):
        fix = "It comes with membership of Intel's Neuromorphic Research Community; use --lava for the simulation"
        raise Problem("--loihi2", "Intel's extension of Lava for Loihi 2 is not installed here", fix)


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def compare(folder: Path, player: Player, steps: list[Step], hardware: bool, time_limit_s: float) -> dict[str, Any]:
    """Run the same input in Lava and count what differs; a layer lags one step behind the one before it."""
    check_installed(hardware)
    network, lag = player.network, len(player.network.neurons)
    x = np.zeros((len(steps) + lag, int(np.prod(network.input_shape))), np.uint8)
    for row, step in zip(x, steps, strict=False):
        row[step.active] = 1 if step.payload is None else step.payload
    biased = any(n.biased for n in network.neurons)
    job = {
        "net": str(network.path.resolve()),
        "graded": network.manifest["input_mode"] == "graded",
        # layer i starts from zero at the step that its first input reaches
        "reset_interval": len(x) if biased else None,
        "hardware": hardware,
    }
    with tempfile.TemporaryDirectory(prefix="bundle-lava-") as place:
        np.save(Path(place, "input.npy"), x.reshape(len(x), *network.input_shape))
        Path(place, "job.json").write_text(json.dumps(job))
        answer = _execute(folder, Path(place), len(x), time_limit_s)
        rows = [np.load(f, mmap_mode="r") for f in (Path(place, f"s{i}.npy") for i in range(lag)) if f.is_file()]
        differing = {name: 0 for name, _ in zip(network.names, rows, strict=False)}
        spikes = dict(differing)
        for i, (name, theirs) in enumerate(zip(differing, rows, strict=True)):
            for k, step in enumerate(steps):
                found = np.flatnonzero(theirs[k + i + 1].transpose())
                spikes[name] += len(found)
                differing[name] += len(np.setxor1d(found, step.spikes[i], assume_unique=True))
        theirs = np.load(Path(place, "membranes.npy"))[lag:].reshape(len(steps), -1)
    membranes = int((theirs != [step.membranes for step in steps]).sum())
    return {
        "loihi2" if hardware else "lava": {
            "steps": len(x),
            "spikes": spikes,
            "differing_spikes": differing,
            "differing_membranes": membranes,
            **answer,
        },
        "passed": not (sum(differing.values()) or membranes),
    }


def _execute(folder: Path, place: Path, steps: int, time_limit_s: float) -> dict[str, Any]:
    print(f"Lava runs {steps} steps …", file=sys.stderr)
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    with open(place / "log.txt", "wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "runner.in_lava", str(place / "job.json")],
            stdout=log, stderr=log, cwd=folder, env=os.environ | threads, start_new_session=True,
        )  # fmt: skip
    try:
        child.wait(time_limit_s)
    except subprocess.TimeoutExpired as e:
        raise Problem("Lava", f"did not finish within {time_limit_s:.0f} s", "Raise --time-limit") from e
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    try:
        answer = json.loads((place / "answer.json").read_text())
    except (OSError, ValueError):
        tail = (place / "log.txt").read_text(errors="replace").strip().splitlines()[-1:]
        answer = {"error": " ".join(["it ended without an answer", *tail])}
    if "error" in answer:
        raise Problem("Lava", answer["error"], "Compare its versions with those in certificate.json")
    return answer


def main(job_path: Path) -> None:
    """The process that runs Lava: writes spikes, membranes and ``answer.json`` beside the job."""
    try:
        answer = _run(json.loads(job_path.read_text()), job_path.parent)
    except Exception as e:
        answer = {"error": f"{type(e).__name__}: {e}"}
    (job_path.parent / "answer.json").write_text(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # Lava's children are no daemons: after a failure they would keep this process from ending


def _run(job: dict[str, Any], place: Path) -> dict[str, Any]:
    from runner.shims import import_netx

    netx, patches = import_netx()
    from lava.magma.core.run_conditions import RunSteps
    from lava.proc import io

    data = np.load(place / "input.npy").astype(np.int32)
    network = netx.hdf5.Network(
        net_config=job["net"],
        input_message_bits=8 if job["graded"] else 0,
        reset_interval=job["reset_interval"],
        reset_offset=1,
    )
    # Lava's order is W, H, C, and time is a source's last axis
    source = io.source.RingBuffer(data=data.transpose(tuple(range(data.ndim))[::-1]))
    collect = _on_chip if job["hardware"] else _in_simulation
    config, finish = collect(network, source, len(data), place, job["graded"])
    begin = time.monotonic()
    network.run(condition=RunSteps(num_steps=len(data)), run_cfg=config)
    finish()
    network.stop()
    return {"wall_s": round(time.monotonic() - begin, 2), "patches": patches}


def _in_simulation(network: Any, source: Any, steps: int, place: Path, graded: bool) -> tuple[Any, Any]:
    """Every layer's spikes and the readout's membranes go straight into files."""
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.lif.process import LIF, LIFReset
    from runner.record.recorder import ObservedLif, ObservedLifReset, SpikeFile

    source.s_out.connect(network.inp)
    last = len(network.layers) - 1
    for i, layer in enumerate(network.layers):
        shape = tuple(int(n) for n in layer.out.shape)
        counter, spikes, state = (str(place / f"{kind}{i}.npy") for kind in ("done", "s", "v"))
        state = str(place / "membranes.npy") if i == last else state
        _file(counter, np.int64, (1,))
        _file(spikes, np.bool_, (steps, *shape))
        _file(state, np.int32, (steps if i == last else 1, *shape))
        _file(str(place / f"u{i}.npy"), np.int32, (steps if i == last else 1, *shape))
        layer.out.connect(SpikeFile(shape=shape, path=spikes, counter=counter).spikes)
        kept = {step: step for step in range(steps)} if i == last else {}
        layer.neuron.proc_params["u_file"] = str(place / f"u{i}.npy")
        layer.neuron.proc_params["v_file"] = state
        layer.neuron.proc_params["state_rows"] = kept
    # without this tag Lava silently runs its floating-point models
    models = {LIF: ObservedLif, LIFReset: ObservedLifReset}
    return Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models), lambda: None


def _file(path: str, dtype: type, shape: tuple[int, ...]) -> None:
    np.lib.format.open_memmap(path, "w+", dtype, shape).flush()


def _on_chip(network: Any, source: Any, steps: int, place: Path, graded: bool) -> tuple[Any, Any]:
    """Input through an adapter of the embedded processors, the readout's membranes read from the cores.

    Written after Intel's public tutorials of lava-dl; it has not been run on a chip.
    """
    from lava.magma.core.run_configs import Loihi2HwCfg
    from lava.proc import embedded_io, io

    shape = network.out.shape
    if graded:
        entry = embedded_io.spike.PyToN3ConvAdapter(shape=network.inp.shape, num_message_bits=8)
    else:
        entry = embedded_io.spike.PyToNxAdapter(shape=network.inp.shape)
    source.s_out.connect(entry.inp)
    entry.out.connect(network.inp)
    reader = embedded_io.state.Read(shape=shape)
    reader.connect_var(network.layers[-1].neuron.v)
    sink = io.sink.RingBuffer(shape=shape, buffer=steps)
    reader.out.connect(sink.a_in)
    return Loihi2HwCfg(), lambda: np.save(place / "membranes.npy", np.moveaxis(sink.data.get(), -1, 0).astype(int))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
