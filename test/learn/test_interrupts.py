import os
import signal

import pytest

from cvgeo_ros.learn.interrupts import StopSignals


def test_the_first_ctrl_c_is_noted_and_the_second_acts() -> None:
    former = signal.getsignal(signal.SIGINT)
    with StopSignals() as signals:
        assert signals.number == 0
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is former


def test_sigterm_is_noted_however_often_it_comes() -> None:
    former = signal.getsignal(signal.SIGTERM)
    with StopSignals() as signals:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert signals.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is former
