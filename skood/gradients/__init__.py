"""Norms of the gradients of single rows."""
