"""Numbers from the papers, to print beside ours: (in, out, score) -> (AUROC, AUPRC, FPR80)."""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["INFORMATIVE", "PAPERS", "Numbers"]

Numbers: TypeAlias = dict[tuple[str, str, str], tuple[str, float, float, float]]

_HAVTORN = "Havtorn 2021"
_LI = "Li 2022"

# Li et al. 2022, table 10: the informative HVAE with three layers, one sample.
INFORMATIVE: Numbers = {
    ("fashion_mnist", "mnist", "L"): (_LI, 0.553, 0.518, 0.679),
    ("fashion_mnist", "mnist", "LLR>1"): (_LI, 0.975, 0.970, 0.028),
    ("fashion_mnist", "mnist", "LLR>2"): (_LI, 0.974, 0.977, 0.012),
    ("fashion_mnist", "mnist", "opt"): (_LI, 0.943, 0.940, 0.061),
    ("fashion_mnist", "mnist", "ada"): (_LI, 0.970, 0.976, 0.009),
    ("fashion_mnist", "kmnist", "ada"): (_LI, 0.950, 0.951, 0.071),
}

# Havtorn et al. 2021, tables 6 to 8 (HVAE; 1000 importance samples on L, one on L>k); Li et al.
# 2022, table 3 ("ada" of an HVAE with three layers).
PAPERS: Numbers = {
    ("fashion_mnist", "mnist", "L"): (_HAVTORN, 0.268, 0.363, 0.882),
    ("fashion_mnist", "mnist", "L>1"): (_HAVTORN, 0.593, 0.591, 0.658),
    ("fashion_mnist", "mnist", "L>2"): (_HAVTORN, 0.712, 0.750, 0.548),
    ("fashion_mnist", "mnist", "LLR>1"): (_HAVTORN, 0.986, 0.987, 0.011),
    ("fashion_mnist", "kmnist", "ada"): (_LI, 0.864, 0.897, 0.290),
    ("fashion_mnist", "kmnist", "L"): (_HAVTORN, 0.690, 0.694, 0.554),
    ("fashion_mnist", "kmnist", "LLR>1"): (_HAVTORN, 0.974, 0.977, 0.017),
    ("mnist", "fashion_mnist", "L"): (_HAVTORN, 1.000, 1.000, 0.000),
    ("mnist", "fashion_mnist", "LLR>1"): (_HAVTORN, 0.999, 0.999, 0.000),
    ("mnist", "kmnist", "L"): (_HAVTORN, 1.000, 1.000, 0.000),
    ("mnist", "kmnist", "LLR>1"): (_HAVTORN, 0.999, 0.999, 0.000),
    ("cifar10", "svhn", "L"): (_HAVTORN, 0.083, 0.318, 0.974),
    ("cifar10", "svhn", "L>2"): (_HAVTORN, 0.693, 0.725, 0.599),
    ("cifar10", "svhn", "LLR>2"): (_HAVTORN, 0.811, 0.837, 0.394),
}
