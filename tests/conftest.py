"""Set-up shared by all tests."""

import os

# Without it scikit-learn leaves out its array-API check. Has to be set before SciPy is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import torch

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the workers share the cores
