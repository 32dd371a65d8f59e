"""
How little training does it take?
=================================
"""

# %%

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator

from skood import Glow, GradientNorm, Likelihood, Trainer
from skood.datasets import load_digit_images, load_photo_tiles
from skood.metrics import auroc, overlap_coefficient

X_train, X_calibration, X_test, _ = np.split(load_photo_tiles(16), [1300, 1500, 1800])
digits = np.random.default_rng(0).permutation(load_digit_images(16))[: len(X_test)]

# %%

epochs = (1, 3, 10, 30, 100)
model = Glow(
    n_steps=4,
    width=64,
    max_epochs=epochs[-1],
    trainer=Trainer(patience=None, snapshot_epochs=epochs),
    random_state=0,
).fit(X_train)

# %%

results: dict[str, list[tuple[float, float]]] = {}
bits = []
for epoch in epochs:
    frozen = FrozenEstimator(model.at_epoch(epoch))
    bits.append(frozen.bits_per_dim(X_test).mean())
    detectors = {
        "likelihood": Likelihood(frozen, random_state=0),
        "gradient norms": GradientNorm(frozen, group_size=5, random_state=0),
    }
    for name, detector in detectors.items():
        detector.fit(X_calibration)
        for kind, group_size in (("rows", 1), ("groups of 5", 5)):
            normal, strange = (detector.group_ood_score(X, group_size) for X in (X_test, digits))
            numbers = auroc(normal, strange), overlap_coefficient(normal, strange)
            results.setdefault(f"{name}, {kind}", []).append(numbers)

print(f"{'epoch':<28}" + "".join(f"{epoch:>14}" for epoch in epochs))
print(f"{'bits per pixel':<28}" + "".join(f"{value:>14.2f}" for value in bits))
for name, numbers in results.items():
    print(f"{name:<28}" + "".join(f"{a:>7.3f}{o:>7.3f}" for a, o in numbers))

# %%

figure, axes = plt.subplots(2, 1, figsize=(8, 7), sharex=True, layout="constrained")
for name, numbers in results.items():
    style = {
        "color": "C0" if "likelihood" in name else "C1",
        "ls": "--" if "groups" in name else "-",
        "marker": "s" if "groups" in name else "o",
    }
    for ax, values in zip(axes, np.transpose(numbers)):
        ax.plot(epochs, values, label=name, **style)
axes[0].axhline(0.5, color="grey", lw=0.8, ls=":")
axes[0].set(ylabel="AUROC (higher is better)", ylim=(-0.04, 1.04))
axes[1].set(ylabel="overlap of the scores (lower is better)", ylim=(-0.04, 1.04))
axes[1].set(xlabel="epochs of training", xscale="log")
axes[1].set_xticks(epochs, epochs)
axes[1].minorticks_off()
axes[1].legend(frameon=False)
figure.savefig("immature.png", dpi=130)
