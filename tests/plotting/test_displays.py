"""What all displays have in common."""

import subprocess
import sys

import matplotlib.pyplot as plt
import pytest

import skood.plotting
from skood.plotting import LayerKLDisplay


def test_importing_the_displays_does_not_import_matplotlib():
    code = "import sys, skood.plotting; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_the_extra_is_named(given_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "skood\[plots\]"'):
        LayerKLDisplay.from_estimator(given_model(kl=[[1.0]]))


def test_every_display_has_a_maker_and_a_plot():
    for name in skood.plotting.__all__:
        display = getattr(skood.plotting, name)
        assert hasattr(display, "plot"), name
        assert [maker for maker in vars(display) if maker.startswith("from_")], name


def test_a_plot_on_given_axes_opens_no_figure(given_model):
    display = LayerKLDisplay.from_estimator(given_model(kl=[[1.0]]))
    before = plt.get_fignums()
    other = display.figure_.add_subplot()
    assert display.plot(other).ax_ is other
    assert plt.get_fignums() == before
