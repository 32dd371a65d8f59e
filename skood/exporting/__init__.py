"""Fitted detectors as files that need no skood to run."""

from skood.exporting._export import export

__all__ = ["export"]
