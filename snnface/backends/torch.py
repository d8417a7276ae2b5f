"""The reference backend: our own neuron in plain torch, on any device that torch has."""

from snnface.forward import reference as neurons
from snnface.forward import run_network as run

__all__ = ["neurons", "run"]
