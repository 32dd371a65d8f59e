"""Torch building blocks, without knowledge of estimators."""
