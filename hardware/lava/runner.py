"""Runs netx files in real Lava: the part that runs inside the separate process.

``python -m snnface.hardware.lava.runner FOLDER…``: each folder holds ``job.json`` and ``input.npy``
(:mod:`snnface.hardware.lava.process` writes them) and gets ``answer.json`` and the recorded arrays, in Lava's order
W, H, C.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np


def main(folders: list[Path]) -> None:
    """Run one job after the other, up to the first that fails."""
    failed = False
    for folder in folders:
        try:
            answer = run(json.loads((folder / "job.json").read_text()), folder)
        except Exception as e:
            answer, failed = {"error": f"{type(e).__name__}: {e}"}, True
        (folder / "answer.json").write_text(json.dumps(answer))
        sys.stdout.flush()
        if failed:
            break
    # Lava's children are no daemons: after a failure they would keep this process from ending.
    os._exit(int(failed))


def run(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Build the network, connect source and sinks, run all steps."""
    from snnface.hardware.lava.shims import PATCHES, import_netx

    netx, applied = import_netx()
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc import io
    from lava.proc.lif.process import LIF, LIFReset

    from snnface.hardware.lava.record.recorder import ObservedLif, ObservedLifReset, SpikeFile

    data = np.load(folder / "input.npy")
    options = {k: job[k] for k in ("reset_interval", "reset_offset", "input_message_bits")}
    # only for files without an input layer, in Lava's order (W, H, C)
    network = netx.hdf5.Network(net_config=job["net"], input_shape=data.shape[:0:-1], **options)
    if len(network.inp.shape) == 1:
        data = data.reshape(len(data), -1)
    # the last axis of a source is time; channels, rows and columns stand in the opposite order in Lava
    source = io.source.RingBuffer(data=data.transpose(tuple(range(data.ndim))[::-1]).astype(np.int32))
    source.s_out.connect(network.inp)
    kept, sinks = job["state_steps"], []
    for i, layer in enumerate(network.layers):
        shape = tuple(int(n) for n in layer.out.shape)
        files = {kind: str(folder / f"{kind}{i}.npy") for kind in ("s", "u", "v", "done")}
        _create(files["s"], np.bool_, (len(data), *shape))
        _create(files["u"], np.int32, (len(kept), *shape))
        _create(files["v"], np.int32, (len(kept), *shape))
        _create(files["done"], np.int64, (1,))
        sink = SpikeFile(shape=shape, path=files["s"], counter=files["done"])
        layer.out.connect(sink.spikes)
        sinks.append(sink)
        for name, value in (
            ("u_file", files["u"]),
            ("v_file", files["v"]),
            ("state_rows", {step: row for row, step in enumerate(kept)}),
        ):
            layer.neuron.proc_params[name] = value
    # without this tag Lava silently runs its floating-point models
    config = Loihi2SimCfg(
        select_tag="fixed_pt", exception_proc_model_map={LIF: ObservedLif, LIFReset: ObservedLifReset}
    )
    begin = time.monotonic()
    try:
        network.run(condition=RunSteps(num_steps=len(data)), run_cfg=config)
        network.stop()
    except Exception as e:
        raise RuntimeError(_child_error(network) or str(e)) from e
    return {
        "layers": len(network.layers),
        "wall_s": time.monotonic() - begin,
        "versions": {
            "python": sys.version.split()[0],
            **{name: version(name) for name in ("lava-nc", "lava-dl", "numpy", "scipy", "h5py")},
        },
        "patches": {letter: PATCHES[letter] for letter in applied},
        "torch_imported": "torch" in sys.modules,
    }


def _create(path: str, dtype: type, shape: tuple[int, ...]) -> None:
    np.lib.format.open_memmap(path, "w+", dtype, shape).flush()


def _child_error(network: Any) -> str | None:
    """The last line of the exception of the child process that failed (Lava itself only logs it)."""
    runtime = network._runtime
    for actor in [] if runtime is None else runtime._messaging_infrastructure.actors:
        if actor.exception:
            return str(actor.exception[1]).strip().splitlines()[-1]
    return None


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
