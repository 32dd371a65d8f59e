"""The training of networks: parameters, state, diagnostics, and the loop, in which skorch runs."""
