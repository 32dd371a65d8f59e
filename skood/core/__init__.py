"""Contracts shared by all of skood: terms, noise, protocols, validation, batches, training."""
