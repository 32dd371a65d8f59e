"""Invertible maps with log-determinants."""
