"""The version of skood: of the package, of its site and in the files it writes."""

__all__ = ["__version__"]

__version__ = "0.1.0"
