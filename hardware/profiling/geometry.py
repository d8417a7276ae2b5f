"""An integer network's shapes in the float world's terms, for counting and pricing."""

from __future__ import annotations

import numpy as np

from snnface.errors import InputError
from snnface.hardware.integers.network import DECAY_UNIT, IntegerNetwork
from snnface.network import Network, SynapticLayer


def geometry(integer: IntegerNetwork, where: object = "network") -> Network:
    """Shapes and input coding of an integer network; decays as fractions, weights as they stand.

    Raises :class:`InputError` where the manifest is absent: step and coding are not in a netx file.
    """
    host = integer.host
    if host is None or len(integer.input_shape) != 3:
        raise InputError(where, "has no manifest beside it", "Profile a network that snnface export wrote")
    layers = tuple(
        SynapticLayer(
            layer.name,
            layer.kind,
            layer.weight,
            layer.shape_in,
            layer.shape_out,
            alpha=1 - float(np.mean(layer.i_decay)) / DECAY_UNIT,
            beta=1 - float(np.mean(layer.v_decay)) / DECAY_UNIT,
            spiking=layer.spiking,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
        )
        for layer in integer.layers
    )
    shape = (integer.input_shape[0], integer.input_shape[1], integer.input_shape[2])
    return Network(
        shape,
        host.step_us,
        host.tau_syn_us,
        host.input_mode,
        layers,
        host.payload_one,
        host.payload_max,
        dict(host.heads),
    )
