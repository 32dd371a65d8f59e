"""
Has the stream changed?
=======================

A lens slowly loses its focus. No single picture is unusual enough to say so: even in the end the
detector tells a blurred tile from a sharp one not much better than a guess. A ``DriftMonitor`` adds
up what single rows do not show, and rarely raises on a stream that stays as it was. The usual
alarm, on the part of flagged rows in windows, is as quick and raises without cause more often than
it says, the more so the fewer rows have set the threshold.

Runs in half a minute on two CPU cores, prints a table and saves ``drift.png``.
"""

# %%
# Normal data: 8 x 8 tiles of the two photographs that scikit-learn ships. The detector is fitted to
# some of them. A stream is 1,500 sharp tiles, 1,000 during which the lens goes out of focus, and
# 1,500 of a lens that averages over 3 x 3 pixels. (Blur is what ``ScoreNorm`` is made for; 8 x 8
# tiles were chosen since there it sees it badly.)

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import uniform_filter
from scipy.stats import binom

from skood import DriftMonitor, ScoreNorm
from skood.calibration import threshold
from skood.datasets import load_photo_tiles
from skood.martingales import ConformalMartingale, OnlinePValues, log_bets
from skood.metrics import auroc
from skood.plotting import DriftDisplay

tiles = load_photo_tiles(8)
X_train, X_unseen = np.split(tiles, [3_000])
blurred = uniform_filter(X_unseen.astype(float), (0, 3, 3))
detector = ScoreNorm(calibration_fraction=0.4, random_state=0).fit(X_train)

n_before, n_ramp, n_rows = 1_500, 1_000, 4_000
blur = np.clip((np.arange(n_rows) - n_before) / n_ramp, 0, 1)[:, None, None]
X_stream = np.rint((1 - blur) * X_unseen[:n_rows] + blur * blurred[:n_rows]).astype(np.uint8)

# %%
# In production it is two lines: one monitor, and an update for each batch that comes in.

watch = DriftMonitor(detector, alpha=0.05, random_state=0)
for batch in np.split(X_stream, 40):
    state = watch.update(batch)
print(f"alarm after {state.raised_at} rows; the lens began to slip after {n_before}")

# %%
# How often do alarms rise without cause, and how long do they take? For that, 100 streams that stay
# sharp and 100 that do not, each with rows of its own to calibrate with: all are unseen tiles in
# random order. Four alarms look at the same scores:
#
# - *1 % of windows*: more flagged rows in a window of 100 than in 99 % of normal windows, if
#   ``fpr=0.05`` were exactly the rate of this threshold;
# - *windows, corrected*: the same, at 5 % for all 40 windows together (Bonferroni), which needs to
#   know how long the stream is;
# - *fixed p-values*: the bets of the monitor, on p-values against the calibration rows alone;
# - the monitor, at ``alpha=0.05``.

n_streams, alpha = 100, 0.05


def window_alarm(level):
    """Row at which the first window has too many flagged rows, or None."""

    def first_alarm(calibration, stream, seed):
        flagged = (stream < threshold(calibration, fpr=0.05)).reshape(-1, 100).sum(axis=1)
        raised = np.flatnonzero(flagged > binom.ppf(1 - level, 100, 0.05))
        return 100 * (raised[0] + 1) if len(raised) else None

    return first_alarm


def first_crossing(p):
    """Row at which the martingale reaches 1 / alpha, or None."""
    martingale = ConformalMartingale()
    for row, bets in enumerate(log_bets(p), start=1):
        if martingale.update(bets) >= -np.log(alpha):
            return row
    return None


def fixed_p_values(calibration, stream, seed):
    n_lower = np.searchsorted(np.sort(calibration), stream)
    uniform = np.random.default_rng(seed).random(len(stream))
    return first_crossing((n_lower + uniform) / (len(calibration) + 1))


def monitor(calibration, stream, seed):  # what DriftMonitor does
    return first_crossing(OnlinePValues(calibration, random_state=seed).update(stream))


alarms = {
    "1 % of windows": window_alarm(0.01),
    "windows, corrected": window_alarm(alpha / (n_rows // 100)),
    "fixed p-values": fixed_p_values,
    "DriftMonitor": monitor,
}

# %%
# A score is a function of its row, so each tile is scored once, at eleven degrees of blur.

degrees = np.linspace(0, 1, 11)
scores = np.array(
    [
        detector.score_samples(np.rint((1 - w) * X_unseen + w * blurred).astype(np.uint8))
        for w in degrees
    ]
)
degree = np.rint(10 * blur.ravel()).astype(int)


def compare(n_calibration):
    """For each alarm: streams with a false alarm, and delays of those without one."""
    false_alarms, delays = dict.fromkeys(alarms, 0), {name: [] for name in alarms}
    for seed in range(n_streams):
        order = np.random.default_rng(seed).permutation(len(X_unseen))
        calibration = scores[0, order[:n_calibration]]
        rows = order[n_calibration:][:n_rows]
        for name, first_alarm in alarms.items():
            false_alarms[name] += first_alarm(calibration, scores[0, rows], seed) is not None
            raised_at = first_alarm(calibration, scores[degree, rows], seed)
            if raised_at is not None and raised_at > n_before:
                delays[name].append(raised_at - n_before)
    return false_alarms, delays


print(f"\nAUROC of single tiles, sharp against blurred: {auroc(-scores[0], -scores[-1]):.2f}")
for n_calibration in (200, 600):
    false_alarms, delays = compare(n_calibration)
    print(f"\n{n_calibration} calibration rows      false alarms   found in time   median delay")
    for name in alarms:
        delay = f"{np.median(delays[name]):.0f} rows"
        print(f"{name:<26}{false_alarms[name]:>12} %{len(delays[name]):>14} %{delay:>15}")

# %%
# Top: the part of flagged rows in each window of the stream above. Bottom: the evidence of the
# monitor, which sinks a little while nothing happens, and then grows with the rows.

figure, (top, bottom) = plt.subplots(2, 1, figsize=(8, 6), sharex=True, layout="constrained")
flagged = (detector.predict(X_stream) == -1).reshape(-1, 100).mean(axis=1)
top.step(100 * np.arange(1, 41), flagged, where="pre", color="grey")
top.axhline(0.05, color="black", lw=1, ls=":", label="fpr")
top.set(ylabel="flagged, windows of 100", ylim=(0, None))
DriftDisplay.from_monitor(watch, ax=bottom)
for ax in (top, bottom):
    ax.axvspan(n_before, n_before + n_ramp, color="tab:orange", alpha=0.2, label="focus slips")
    ax.axvspan(n_before + n_ramp, n_rows, color="tab:orange", alpha=0.4, label="blurred")
    ax.legend(loc="upper left")
figure.savefig("drift.png", dpi=130)
