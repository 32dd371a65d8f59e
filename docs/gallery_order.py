"""The order of the gallery."""

FIRST = ("plot_quickstart.py", "plot_which_score.py", "plot_table.py", "plot_drift.py")


class FirstStepsFirst:
    """A sort key of file names: those of `FIRST` as they stand there, then the others by name."""

    def __init__(self, folder: str) -> None:
        pass

    def __call__(self, name: str) -> tuple[int, str]:
        """Key of one file."""
        return FIRST.index(name) if name in FIRST else len(FIRST), name
