"""Shapes of the networks of hierarchical models: which features lie between which latents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skood.nn.layers import Shape

__all__ = ["Plan", "check_latent_dims", "plan_network"]


@dataclass(frozen=True)
class Plan:
    """Shapes of a network.

    ``stages[l]`` holds the shapes between which inference goes up to layer l + 1, and generation
    comes down from it; ``padded`` is the shape of x with sides that the stages can divide.
    """

    padded: Shape
    latents: list[Shape]
    stages: list[tuple[Shape, Shape]]
    n_blocks: int
    kernels: tuple[int, ...]
    normalise: bool = False

    def stage_options(self, index: int) -> dict[str, Any]:
        """Keyword arguments of the `Stage` below layer ``index + 1``."""
        kernel = self.kernels[min(index, len(self.kernels) - 1)]
        return {"n_blocks": self.n_blocks, "kernel": kernel, "normalise": self.normalise}


def _mlp_plan(shape: Shape, dims: tuple[int, ...], n_spatial: int, width: int) -> Plan:
    stages: list[tuple[Shape, Shape]] = [((width,), (width,)) for _ in dims]
    return Plan(shape, [(d,) for d in dims], stages, n_blocks=1, kernels=(3,))


def _patch_plan(shape: Shape, dims: tuple[int, ...], n_spatial: int, width: int) -> Plan:
    """Maps of about 7 x 7 patches up to the last spatial layer, then vectors of falling length."""
    patch = max(2, min(shape[1:]) // 7)
    sides = [math.ceil(side / patch) for side in shape[1:]]
    padded = (shape[0], *(patch * side for side in sides))
    features: Shape = (width, *sides)
    stages: list[tuple[Shape, Shape]] = []
    latents: list[Shape] = []
    for layer, dim in enumerate(dims):
        spatial = layer < n_spatial
        n_vectors = layer - n_spatial
        above = features if spatial else (max(4, 8 >> n_vectors) * width,)
        stages.append((features, above))
        latents.append((dim, *sides) if spatial else (dim,))
        features = above
    return Plan(padded, latents, stages, n_blocks=1, kernels=(3,))


def _resnet_plan(
    shape: Shape, dims: tuple[int, ...], n_spatial: int, width: int, strides: Sequence[int] = (2, 2)
) -> Plan:
    """Maps at full resolution, halved by the given stages (Havtorn et al. 2021, table 4)."""
    strides = [*strides, *(1 for _ in dims)][: len(dims)]
    factor = math.prod(strides)
    padded = (shape[0], *(factor * math.ceil(side / factor) for side in shape[1:]))
    features: Shape = (width, *padded[1:])
    stages: list[tuple[Shape, Shape]] = []
    latents: list[Shape] = []
    for layer, (dim, stride) in enumerate(zip(dims, strides, strict=True)):
        above = (width, features[1] // stride, features[2] // stride)
        stages.append((features, above))
        latents.append((dim, *above[1:]) if layer < n_spatial else (dim,))
        features = above
    return Plan(padded, latents, stages, n_blocks=2, kernels=(5, 3), normalise=True)


_WIDTHS = {"mlp": 128, "patch": 32, "resnet": 64}


def plan_network(
    shape: Shape,
    *,
    network: str = "auto",
    latent_dims: Sequence[int] | str = "auto",
    n_spatial_layers: int | str = "auto",
    width: int | str = "auto",
    n_rows: int,
    strides: Sequence[int] = (2, 2),
) -> Plan:
    """Shapes for ``n_rows`` training rows of ``shape``, (features,) or (channels, height, width).

    The other parameters are those of `skood.HVAE`; ``strides`` are those of the stages of
    "resnet", 1 where they end.

    Raises
    ------
    ValueError
        If they do not fit each other or the rows.
    """
    is_image = len(shape) == 3
    if network == "auto":
        network = "patch" if is_image else "mlp"
    if (network == "mlp") == is_image:
        kinds = ("tables", "images") if is_image else ("images", "tables")
        raise ValueError(
            f"network={network!r} is for {kinds[0]}, but X holds {kinds[1]}. Use network='auto'."
        )
    automatic, n_maps = ((8, 16, 8), 1) if is_image else ((16, 8, 4), 0)
    if network == "resnet" and shape[0] > 1:
        automatic, n_maps = (128, 64, 32), 2
    dims = check_latent_dims(latent_dims, automatic)
    most = len(dims) if is_image else 0
    n_spatial = min(n_maps, most) if n_spatial_layers == "auto" else int(n_spatial_layers)
    if n_spatial > most:
        raise ValueError(
            f"n_spatial_layers={n_spatial} is more than the {most} layers that can be maps here. "
            "Use n_spatial_layers='auto'."
        )
    if width == "auto":
        # Wide layers overfit so few rows, see docs/results.md.
        width = 32 if network == "mlp" and n_rows < 400 else _WIDTHS[network]
    if network == "resnet":
        return _resnet_plan(shape, dims, n_spatial, int(width), strides)
    return {"mlp": _mlp_plan, "patch": _patch_plan}[network](shape, dims, n_spatial, int(width))


def check_latent_dims(
    latent_dims: Sequence[int] | str, automatic: tuple[int, ...]
) -> tuple[int, ...]:
    """The units of each layer as a tuple; "auto" is ``automatic``."""
    dims = automatic if isinstance(latent_dims, str) else tuple(latent_dims)
    if not dims or not all(isinstance(dim, (int, np.integer)) and dim > 0 for dim in dims):
        raise ValueError(
            "latent_dims must be a tuple of positive integers, one for each layer, layer 1 "
            f"nearest to x; got {latent_dims!r}."
        )
    return dims
