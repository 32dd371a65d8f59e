"""The command line sends its words to the right benchmark."""

import sys

import pytest

from skood.benchmark import __main__ as command


@pytest.mark.parametrize("words", ["suite --data-home DIR", "--data-home DIR suite"])
def test_the_suite_has_options_of_its_own(words, monkeypatch):
    seen = []
    monkeypatch.setitem(command.COMMANDS, "suite", seen.extend)
    monkeypatch.setattr(sys, "argv", ["benchmark", *words.split()])
    command.main()
    assert seen == ["--data-home", "DIR"]


def test_options_may_stand_before_the_data_set():
    words = "--data-home DIR --model Glow --gradient-norms fashion_mnist --n-test 1000 --made-up"
    arguments = command.parse(words.split())
    assert (arguments.dataset, arguments.model) == ("fashion_mnist", ["Glow"])
    assert arguments.gradient_norms and arguments.made_up
    assert (arguments.n_test, arguments.snapshot_epochs, arguments.seeds) == (1000, (), 1)


def test_models_objectives_and_parameters_are_lists():
    words = "mnist --model HVAE BIVA --objective default InformativeELBO --set network=resnet"
    arguments = command.parse(words.split())
    assert arguments.model == ["HVAE", "BIVA"]
    assert arguments.objective == ["default", "InformativeELBO"]
    assert arguments.set == ["network=resnet"]
