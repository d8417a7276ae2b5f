"""A sink that writes spikes to a file, and Lava's own neuron models observed while they run.

Reading a variable back from Lava sends one number a message, so states are written by the neuron process
itself: the models below are Lava's fixed-point LIF models, called unchanged; afterwards they copy u and v of
the step into a memory-mapped file.
"""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc


class SpikeFile(AbstractProcess):
    """Receives spikes of ``shape`` and writes them to the existing array file ``path``, bool ``[steps, *shape]``.

    ``counter``: an existing int64 ``[1]`` array file for the number of steps done.
    """

    def __init__(self, *, shape: tuple[int, ...], path: str, counter: str) -> None:
        super().__init__(shape=shape, path=path, counter=counter)
        self.spikes = InPort(shape=shape)


@implements(proc=SpikeFile, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeFile(PyLoihiProcessModel):
    """Writes one row a step."""

    spikes: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: dict) -> None:
        super().__init__(proc_params)
        self.rows = np.load(proc_params["path"], mmap_mode="r+")
        self.done = np.load(proc_params["counter"], mmap_mode="r+")

    def run_spk(self) -> None:
        self.rows[self.time_step - 1] = self.spikes.recv()
        self.done[0] = self.time_step


class _Observed:
    """Mixed into a neuron model: after its own step, copies u and v into the files that its process names.

    ``state_rows`` maps the steps to keep (from 0) to rows of ``u_file`` and ``v_file``.
    """

    def __init__(self, proc_params: dict) -> None:
        super().__init__(proc_params)  # type: ignore[call-arg]
        self.state_rows: dict[int, int] = proc_params["state_rows"]
        self.u_rows, self.v_rows = (np.load(proc_params[key], mmap_mode="r+") for key in ("u_file", "v_file"))

    def run_spk(self) -> None:
        super().run_spk()  # type: ignore[misc]
        row = self.state_rows.get(self.time_step - 1)  # type: ignore[attr-defined]
        if row is not None:
            self.u_rows[row], self.v_rows[row] = self.u, self.v  # type: ignore[attr-defined]


class ObservedLif(_Observed, PyLifModelBitAcc):
    """Lava's LIF model, observed."""


class ObservedLifReset(_Observed, PyLifResetModelBitAcc):
    """Lava's LIF model with periodic reset, observed."""
