"""The version of skood, for what it writes."""

__all__ = ["__version__"]

__version__ = "0.1.0.dev0"
