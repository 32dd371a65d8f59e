"""How far something has come, on a terminal, in a file, and where nobody asked."""

import io
import os
import re
import sys
import threading

import pytest

from skood.core.progress import progress, shows_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Inner:
    @shows_progress
    def work(self, n_done=0, **options):
        with progress(3, "epoch", n_done=n_done, **options) as show:
            for i in range(n_done, 3):
                show(i + 1, bound=-1234.5678 * (i + 1))


class Outer(Inner):
    def __init__(self, verbose=0):
        self.verbose = verbose

    @shows_progress
    def all(self, inner=None, **options):
        (inner or Inner()).work(**options)


def test_a_file_gets_a_plain_line_at_each_update(capsys):
    Outer(verbose=1).work()
    captured = capsys.readouterr()
    times = "00:00 spent, 00:00 left\n"
    assert captured.out == (
        f"Outer: epoch 1/3, bound -1234.57, {times}"
        f"Outer: epoch 2/3, bound -2469.14, {times}"
        f"Outer: epoch 3/3, bound -3703.7, {times}"
    )
    assert captured.err == ""


def test_a_terminal_gets_one_bar_without_colours(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    Outer(verbose=1).work()
    text = sys.stdout.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n") and "\x1b" not in text
    last = text.rpartition("\r")[2]
    assert re.match(r"Outer: 100%\|.*\| 3/3 \[00:00<00:00, .*epoch/s, bound -3703.7\]\n", last)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has pseudoterminals")
def test_so_does_a_terminal_of_unknown_size(monkeypatch):
    master, slave = os.openpty()
    with open(slave, "w") as stream, open(master, "rb", buffering=0) as screen:
        monkeypatch.setattr(sys, "stdout", stream)
        Outer(verbose=1).work()
        text = b""
        while b"| 3/3 [" not in text:  # a terminal gives what it has, perhaps not all at once
            part = screen.read(10_000)
            assert part
            text += part


def test_a_bar_starts_no_thread(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    before = threading.enumerate()
    Outer(verbose=1).work()
    assert threading.enumerate() == before


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_nothing_is_shown_unless_asked_for(stream, monkeypatch):
    monkeypatch.setattr(sys, "stdout", stream())
    Outer(verbose=0).work()
    Inner().work()
    Outer(verbose=0).all()
    assert sys.stdout.getvalue() == ""


def test_the_verbose_one_says_of_whom_its_parts_are(capsys):
    Outer(verbose=1).all()
    assert capsys.readouterr().out.startswith("Outer, Inner: epoch 1/3")


def test_a_verbose_part_of_a_quiet_one_speaks_for_itself(capsys):
    Inner.all = Outer.all
    try:
        Inner().all(Outer(verbose=1))
    finally:
        del Inner.all
    assert capsys.readouterr().out.startswith("Outer: epoch 1/3")


def test_methods_of_one_object_that_call_each_other_name_it_once(capsys):
    outer = Outer(verbose=1)
    outer.all(outer)
    assert capsys.readouterr().out.startswith("Outer: epoch 1/3")


def test_after_an_exception_nothing_is_shown_any_more(capsys):
    with pytest.raises(AttributeError):
        Outer(verbose=1).all(object)
    Inner().work()
    assert capsys.readouterr().out == ""


def test_another_thread_is_not_concerned(capsys):
    class InThread:
        def work(self):
            thread = threading.Thread(target=Inner().work)
            thread.start()
            thread.join()

    Outer(verbose=1).all(InThread())
    assert capsys.readouterr().out == ""


def test_what_takes_no_time_is_not_shown(capsys, monkeypatch):
    Outer(verbose=1).work(quiet_seconds=60.0)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(sys, "stdout", Terminal())
    Outer(verbose=1).work(quiet_seconds=60.0)
    assert sys.stdout.getvalue() == ""


def test_the_time_left_is_that_of_what_was_done_here(capsys, monkeypatch):
    seconds = iter([0.0, 10.0])
    monkeypatch.setattr("skood.core.progress.time.monotonic", lambda: next(seconds))
    Outer(verbose=1).all(Resumed())
    assert "epoch 3/7, 00:10 spent, 00:40 left" in capsys.readouterr().out


class Resumed:
    @shows_progress
    def work(self):
        with progress(7, "epoch", n_done=2) as show:
            show(3)


def test_a_window_without_standard_output_changes_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    Outer(verbose=1).work()
