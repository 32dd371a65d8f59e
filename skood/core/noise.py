"""The only source of randomness in a pass through a network."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

__all__ = ["Noise", "fork_rng"]

_Drawn = dict[tuple[Callable[..., Tensor], str, tuple[int, ...]], Tensor]


class Noise:
    """Random numbers for one pass, drawn from generators of its own.

    Training wants fresh numbers for every row. Scoring wants a fixed function of the row: there
    each draw has a *name*, is made once, and all rows share it (common random numbers). Names make
    two passes that draw different sets of layers, such as those for L and L>k, see the same numbers
    for the layers that they have in common, which removes most of the variance of their difference.

    Parameters
    ----------
    seed : int or sequence of int
    device : torch device or str
    shared : bool
        Whether draws are shared by the rows (scoring) or made per row (training).
    """

    def __init__(
        self,
        seed: int | Sequence[int],
        device: torch.device | str = "cpu",
        *,
        shared: bool = False,
    ):
        self.seed = tuple(np.atleast_1d(np.asarray(seed, dtype=np.int64)).tolist())
        self.device = torch.device(device)
        self.shared = shared
        self._generator = torch.Generator(self.device).manual_seed(_derive(self.seed))
        self._pinned = shared
        self._drawn: _Drawn = {}
        self._data: Noise | None = None  # whose dither this shares; None is its own

    def pinned(self) -> Noise:
        """Noise per row that draws each name once: several passes see the same latents and x."""
        noise = copy.copy(self)
        noise._pinned, noise._drawn, noise._data = True, {}, None
        return noise

    def sample(self, index: int) -> Noise:
        """The noise of one importance sample: other latents, but the same `dither`.

        Of shared noise, where it is a function of the index, or of pinned noise, where each call
        gives other latents.
        """
        noise = copy.copy(self)
        noise.seed, noise._drawn, noise._data = (*self.seed, index), {}, self._data or self
        return noise

    def dither(self, shape: Sequence[int]) -> Tensor:
        """Numbers uniform on [0, 1) that belong to the data, for instance to binarise them.

        All importance samples of a row must see one and the same x: a mean of p(x | z) over
        several x is no bound of anything.
        """
        return (self._data or self)._draw(torch.rand, "x", tuple(shape))

    def normal(self, name: str, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers; ``shape[0]`` counts rows."""
        return self._draw(torch.randn, name, tuple(shape))

    def uniform(self, name: str, shape: Sequence[int]) -> Tensor:
        """Numbers uniform on [0, 1); ``shape[0]`` counts rows."""
        return self._draw(torch.rand, name, tuple(shape))

    def _draw(self, draw: Callable[..., Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
        if not self._pinned:
            return draw(shape, generator=self._generator, device=self.device)
        key = (draw, name, shape[1:] if self.shared else shape)
        if key not in self._drawn:
            self._drawn[key] = self._draw_once(draw, name, shape)
        return self._drawn[key].expand(shape)

    def _draw_once(self, draw: Callable[..., Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
        if not self.shared:
            return draw(shape, generator=self._generator, device=self.device)
        # Drawn on the CPU so that a score does not depend on the device's generator.
        generator = torch.Generator().manual_seed(_derive((*self.seed, zlib.crc32(name.encode()))))
        return draw((1, *shape[1:]), generator=generator).to(self.device)


@contextmanager
def fork_rng(seed: int) -> Iterator[None]:
    """Seed torch's global generators for the block, and put them back after it."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def _derive(entropy: Sequence[int]) -> int:
    """Mix several integers into one well-spread 63-bit seed."""
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))
