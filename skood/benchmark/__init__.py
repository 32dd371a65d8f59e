"""Measure models and detectors on real data: ``python -m skood.benchmark --help``."""
