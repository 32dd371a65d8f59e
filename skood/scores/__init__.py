"""Scores as pure functions of NumPy arrays, in the papers' orientation and in nats."""
