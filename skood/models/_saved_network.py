"""A network built again for the tensors of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from skood.core.allocation import limited_allocation
from skood.core.modes import explicit_construction

__all__ = ["rebuilt_network"]

# Times the size of its state: networks of skood take at most 3.3 times as much to build, and small
# ones a little more.
_MOST, _LITTLE = 16, 2**20


def rebuilt_network(
    build: Callable[[], nn.Module], state: Mapping[str, Tensor], seed: int
) -> nn.Module:
    """The network of ``build``, in evaluation mode, with the parameters and buffers of ``state``.

    Raises
    ------
    ValueError
        If the state is not one of such a network.
    MemoryError
        If the network is far larger than its state.
    """
    if not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ValueError("the state of its network does not hold tensors alone")
    size = sum(tensor.nbytes for tensor in state.values())
    limit = limited_allocation(_MOST * size + _LITTLE)
    with explicit_construction(seed), limit:
        network = build()
    expected = network.state_dict()
    for name in expected.keys() | state.keys():
        kinds = [(t[name].dtype, t[name].shape) if name in t else None for t in (expected, state)]
        if kinds[0] != kinds[1]:
            raise ValueError(f"{name} of its network should be {kinds[0]}, and is {kinds[1]}")
    network.load_state_dict(dict(state))
    return network.eval()
