"""The only source of randomness in a pass through a network."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

__all__ = ["Noise", "Stream"]

_Drawn = dict[tuple[Callable[..., Tensor], str, tuple[int, ...]], Tensor]


class Stream(IntEnum):
    """What an estimator draws random numbers for: ``[seed, Stream.X]`` seeds each independently."""

    CALIBRATION_SPLIT = 0
    VALIDATION_SPLIT = 1  # and, after it, the order of the rows in training
    TRAINING = 2
    DIAGNOSIS = 3
    INITIALISATION = 4
    SCORING = 5
    FIRST_BATCH = 6
    PERTURBATION = 7
    ENSEMBLE = 8


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
        self._forks: tuple[Noise, ...] = ()
        self._rows_each = 0

    def pinned(self) -> Noise:
        """Noise per row that draws each name once: several passes see the same latents and x."""
        noise = copy.copy(self)
        noise._pinned, noise._drawn, noise._data = True, {}, None
        return noise

    def fork(self, index: int) -> Noise:
        """The noise of one importance sample: other latents, but the same `dither`.

        Of shared noise, where it is a function of the index, or of pinned noise, where each call
        gives other latents.
        """
        noise = copy.copy(self)
        noise.seed, noise._drawn, noise._data = (*self.seed, index), {}, self._data or self
        return noise

    def side_by_side(self, forks: Iterable[Noise], n_rows: int) -> Noise:
        """Several importance samples of shared noise, which `fork` gave, for one batch.

        The batch holds all ``n_rows`` rows for the first of them, then all for the second, and so
        on; what is left over at its end sees the last.
        """
        noise = copy.copy(self)
        noise._data, noise._forks = self._data or self, tuple(forks)
        noise._rows_each = n_rows
        return noise

    def with_rows(self, n_rows: int) -> Noise:
        """The samples of `side_by_side` for another number of rows, with what was drawn already."""
        noise = copy.copy(self)
        noise._rows_each = n_rows
        return noise

    def state(self) -> Tensor:
        """Where the stream stands, for `set_state`: only of noise per row."""
        return self._generator.get_state()

    def set_state(self, state: Tensor) -> None:
        """Go on from where another stream stood."""
        self._generator.set_state(state)

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
        if self._forks:
            sizes = [self._rows_each] * (len(self._forks) - 1)
            sizes.append(shape[0] - sum(sizes))
            parts = [
                fork._draw(draw, name, (n, *shape[1:]))
                for fork, n in zip(self._forks, sizes, strict=True)
            ]
            return torch.cat(parts)
        if not self._pinned:
            return self._fresh(draw, shape)
        key = (draw, name, shape[1:] if self.shared else shape)
        if key not in self._drawn:
            self._drawn[key] = self._draw_once(draw, name, shape)
        return self._drawn[key].expand(shape)

    def _draw_once(self, draw: Callable[..., Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
        if not self.shared:
            return self._fresh(draw, shape)
        # Drawn on the CPU so that a score does not depend on the device's generator.
        generator = torch.Generator().manual_seed(_derive((*self.seed, zlib.crc32(name.encode()))))
        options = {"generator": generator, "dtype": torch.float32, "device": "cpu"}
        return draw((1, *shape[1:]), **options).to(self.device)

    def _fresh(self, draw: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        options = {"generator": self._generator, "dtype": torch.float32, "device": self.device}
        return draw(shape, **options)


def _derive(entropy: Sequence[int]) -> int:
    """Mix several integers into one well-spread 63-bit seed."""
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))
