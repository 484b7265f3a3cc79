import os
import subprocess
import sys
import threading

import pytest

from tests.support.leaks import nothing_left_behind

_SLEEP = "import time; time.sleep(60)"


def test_a_clean_block_passes() -> None:
    with nothing_left_behind():
        read, write = os.pipe()
        os.close(read)
        os.close(write)


def test_a_descriptor_is_found() -> None:
    read, write = os.pipe()
    os.close(write)
    with (
        pytest.raises(AssertionError, match=r"descriptors.*pipe:"),
        nothing_left_behind(grace=0),
    ):
        kept = os.dup(read)
    os.close(kept)
    os.close(read)


def test_a_printer_that_is_plugged_in_again_is_not_left_behind() -> None:
    """Its terminal has another number, if a process beside it has taken the old one."""
    ends = os.openpty()
    number = os.ttyname(ends[1])
    with nothing_left_behind(grace=0):
        for new, old in zip(os.openpty(), ends, strict=True):
            os.dup2(new, old)
            os.close(new)
        assert os.ttyname(ends[1]) != number
    with (
        pytest.raises(AssertionError, match=r"descriptors.*/dev/pts/"),
        nothing_left_behind(grace=0),
    ):
        kept = os.dup(ends[1])
    for end in (*ends, kept):
        os.close(end)


def test_a_thread_is_found() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name="lingerer")
    with (
        pytest.raises(AssertionError, match=r"threads.*lingerer"),
        nothing_left_behind(grace=0),
    ):
        thread.start()
    done.set()
    thread.join()


def test_a_thread_that_is_about_to_end_is_waited_for() -> None:
    done = threading.Event()
    with nothing_left_behind():
        threading.Thread(target=done.wait).start()
        threading.Timer(0.05, done.set).start()


def test_a_child_is_found() -> None:
    with (
        pytest.raises(AssertionError, match=r"processes"),
        nothing_left_behind(grace=0),
    ):
        child = subprocess.Popen([sys.executable, "-c", _SLEEP])
    child.kill()
    child.wait()
