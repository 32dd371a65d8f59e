"""Fit a detector on images that come with scikit-learn, and save it for the service."""

import sys

from sklearn.datasets import load_digits

from skood import HVAE, HierarchicalLLR

digits = load_digits().images  # 8 x 8 pixels, 0 to 16
X = (digits * 15.9375).round().astype("uint8")
HierarchicalLLR(HVAE(), random_state=0).fit(X).save(sys.argv[1])
