"""Ctrl-C and SIGTERM end a training in good order, and then what is around it."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from skorch.callbacks import Callback

from skood import MAF, InterruptedFitWarning, Trainer
from skood.testing import small
from skood.training.interruption import Interruptions

X = np.random.default_rng(0).normal(size=(80, 3))


class SignalInEpoch(Callback):
    """Sends this process a signal in a batch of one epoch."""

    def __init__(self, epoch, number=signal.SIGINT):
        self.epoch, self.number = epoch, number

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.epoch and len(net.history[-1]["batches"]) == 2:
            os.kill(os.getpid(), self.number)


def model(epoch, number=signal.SIGINT, **options):
    trainer = Trainer(callbacks=(SignalInEpoch(epoch, number),), **options)
    return small(MAF, max_epochs=5, batch_size=16, trainer=trainer, random_state=0)


@pytest.fixture(autouse=True)
def own_handlers():
    """Those of a fresh Python: others, such as a debugger's, would not raise."""
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_ctrl_c_raises_and_leaves_the_model_fitted_with_what_it_had_learned():
    interrupted = model(3)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(X)
    assert interrupted.interrupted_ and interrupted.n_iter_ == 2
    assert np.isfinite(interrupted.score_samples(X)).all()


def test_ctrl_c_in_the_first_epoch_raises_and_leaves_the_model_unfitted():
    interrupted = model(1)
    before = dict(vars(interrupted))
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(X)
    assert not interrupted.__sklearn_is_fitted__() and vars(interrupted) == before


def test_ctrl_c_in_the_first_epoch_raises_even_if_interruptions_are_kept():
    interrupted = model(1, on_interrupt="keep")
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(X)
    assert not interrupted.__sklearn_is_fitted__()


def test_on_interrupt_keep_returns_with_a_warning():
    interrupted = model(3, on_interrupt="keep")
    with pytest.warns(InterruptedFitWarning, match=r"after 2 epochs\. .* can be used"):
        assert interrupted.fit(X) is interrupted
    assert interrupted.interrupted_ and interrupted.n_iter_ == 2
    assert np.isfinite(interrupted.score_samples(X)).all()


@pytest.mark.parametrize("on_interrupt", ["raise", "keep"])
def test_sigterm_ends_the_program_and_leaves_the_model_fitted(on_interrupt):
    terminated = model(3, signal.SIGTERM, on_interrupt=on_interrupt)
    with pytest.raises(SystemExit) as error:
        terminated.fit(X)
    assert error.value.code == 143 and terminated.n_iter_ == 2
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_sigterm_in_the_first_epoch_ends_the_program_too():
    terminated = model(1, signal.SIGTERM)
    with pytest.raises(SystemExit) as error:
        terminated.fit(X)
    assert error.value.code == 143 and not terminated.__sklearn_is_fitted__()


def test_a_handler_of_the_program_for_sigterm_is_left_alone():
    seen = []
    signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    fitted = model(3, signal.SIGTERM).fit(X)
    assert seen == [signal.SIGTERM] and fitted.n_iter_ == 5


def test_another_thread_sets_no_handler():
    seen = []

    def work():
        with Interruptions():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]


PROGRAM = """
import os, signal
import numpy as np
from skorch.callbacks import Callback
from skood import MAF, Likelihood, Trainer
from skood.testing import small

class Terminate(Callback):
    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == {epoch}:
            os.kill(os.getpid(), signal.SIGTERM)

X = np.random.default_rng(0).normal(size=(80, 3))
model = small(MAF, max_epochs=5, trainer=Trainer(callbacks=(Terminate(),), on_interrupt="keep"))
try:
    {estimator}.fit(X)
    print("went on")
finally:
    print("cleaned up")
"""


@pytest.mark.parametrize("estimator, epoch", [("model", 3), ("Likelihood(model)", 1)])
def test_sigterm_ends_the_process_with_its_exit_status_after_finally_blocks(estimator, epoch):
    code = PROGRAM.format(estimator=estimator, epoch=epoch)
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False
    )
    assert (ended.returncode, ended.stdout) == (143, "cleaned up\n"), ended.stderr
