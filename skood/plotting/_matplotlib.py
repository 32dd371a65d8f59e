"""The only place that imports matplotlib, which is optional, and only when something is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def axes_to_draw_on(ax: Axes | None, figsize: tuple[float, float] = (5.0, 3.5)) -> Axes:
    """The axes given, or those of a new figure of that size in inches.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    plt = _pyplot()
    if ax is not None:
        return ax
    new: Axes = plt.subplots(figsize=figsize, layout="constrained")[1]
    return new


def sequential_colours(n: int) -> list[Any]:
    """Colours for n things that have an order, such as layers, from dark to light."""
    # The map ends in a yellow that cannot be seen on white.
    return list(_pyplot().get_cmap("viridis")([0.85 * i / max(1, n - 1) for i in range(n)]))


def qualitative_colours(n: int) -> list[Any]:
    """Colours for n things that have no order."""
    name = "tab10" if n <= 10 else "tab20"
    return [_pyplot().get_cmap(name)(i % 20) for i in range(n)]


def legend_beside(ax: Axes, **options: Any) -> None:
    """Put a legend to the right of the axes, where it covers no data."""
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, **options)


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'skood.plotting needs matplotlib. Install it with pip install "skood[plots]".'
        ) from error
    return plt
