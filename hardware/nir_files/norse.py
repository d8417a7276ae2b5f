"""Norse's networks as NIR graphs, where Norse's own exporter cannot say them.

``norse.torch.to_nir`` (1.1.0) writes time constants times dt, no Flatten, no convolution without bias, and nothing
for the CubaLIF that its own importer makes. This writes time constants in seconds, says dt in the metadata, and gives
LIFCell the weight w_in = τ_syn/dt with which NIR's CubaLIF, stepped by dt, is Norse's LIFCell.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from snnface.errors import InputError

if TYPE_CHECKING:
    import nir


def of_norse(module: torch.nn.Module, sample: torch.Tensor, dt: float = 1e-3) -> nir.NIRGraph:
    """The graph of a Norse network (``SequentialState``, or what ``from_nir`` gave) that runs at steps of ``dt`` s.

    ``sample``: one step's input without batch, ``[C, H, W]`` or ``[N]``; shapes come from running it. Raises
    :class:`InputError` for a module that NIR does not have.
    """
    import nir
    import nirtorch
    from norse.torch.utils.import_nir import CubaLIF

    shapes: dict[torch.nn.Module, tuple[int, ...]] = {}

    def note(own: torch.nn.Module, _: Any, answer: Any) -> None:
        shapes[own] = tuple((answer[0] if isinstance(answer, tuple) else answer).shape)

    hooks = [own.register_forward_hook(note) for own in module.modules()]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = module(sample)
        for hook in hooks:
            hook.remove()
        graph = nirtorch.extract_nir_graph(
            module, lambda own: _node(own, shapes.get(own, ()), dt), sample, ignore_submodules_of=[CubaLIF]
        )
    output = answer[0] if isinstance(answer, tuple) else answer
    graph.nodes["input"] = nir.Input(np.array(sample.shape))
    graph.nodes["output"] = nir.Output(np.array(output.shape))
    edges = [(a, b) for a, b in graph.edges if a != b]  # nirtorch leaves some from input to input
    return nir.NIRGraph(graph.nodes, edges, {"dt": dt}, type_check=False)


def _node(module: torch.nn.Module, shape: tuple[int, ...], dt: float) -> Any:
    import nir
    from norse.torch import IAFCell, LIBoxCell, LIFBoxCell, LIFCell
    from norse.torch.utils.import_nir import CubaLIF

    def every(value: Any) -> np.ndarray:
        return np.broadcast_to(torch.as_tensor(value).detach().double().numpy(), shape).copy()

    def tau(inverse: Any) -> np.ndarray:
        return 1 / every(inverse)

    if isinstance(module, torch.nn.Identity):
        return None
    if isinstance(module, torch.nn.Flatten):
        return nir.Flatten(None, module.start_dim, module.end_dim)
    if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
        weight = module.weight.detach().numpy()
        bias = np.zeros(len(weight), weight.dtype) if module.bias is None else module.bias.detach().numpy()
        if isinstance(module, torch.nn.Linear):
            return nir.Affine(weight, bias)
        return nir.Conv2d(None, weight, module.stride, module.padding, module.dilation, module.groups, bias)
    p: Any = getattr(module, "p", None)
    if isinstance(module, CubaLIF):
        synapse, lif = module.synapse.p, module.lif.p
        return nir.CubaLIF(
            tau(synapse.tau_mem_inv), tau(lif.tau_mem_inv), every(module.r), every(lif.v_leak), every(lif.v_th),
            every(lif.v_reset), every(module.w_in),
        )  # fmt: skip
    if isinstance(module, LIFCell):
        tau_syn, one = tau(p.tau_syn_inv), np.ones(shape)
        return nir.CubaLIF(
            tau_syn, tau(p.tau_mem_inv), one, every(p.v_leak), every(p.v_th), every(p.v_reset), tau_syn / dt
        )
    if isinstance(module, LIFBoxCell):
        return nir.LIF(tau(p.tau_mem_inv), np.ones(shape), every(p.v_leak), every(p.v_th), every(p.v_reset))
    if isinstance(module, LIBoxCell):
        return nir.LI(tau(p.tau_mem_inv), np.ones(shape), every(p.v_leak))
    if isinstance(module, IAFCell):
        return nir.IF(np.full(shape, 1 / dt), every(p.v_th), every(p.v_reset))
    raise InputError("norse network", f"has a {type(module).__name__}, which NIR does not have", "Replace it")
