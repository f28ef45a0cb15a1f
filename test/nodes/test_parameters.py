import math

import pytest

pytest.importorskip("rclpy")

from cvgeo_ros.nodes.parameters import Spec

RATE = Spec("rate", 1.0, "", 0.0, 10.0)
PITCH = Spec("pitch", math.nan, "", -90.0, 90.0)
KIND = Spec("kind", "raw", "", choices=("raw", "compressed"))
MODE = Spec("mode", "", "", choices=("", "default"))


@pytest.mark.parametrize(
    "spec, value", [(RATE, 0.0), (RATE, 10.0), (PITCH, math.nan), (PITCH, -90.0), (KIND, "raw"), (MODE, "")]
)
def test_right_values_pass(spec: Spec, value: object) -> None:
    assert spec.refusal(value) is None


@pytest.mark.parametrize(
    "spec, value, words",
    [
        (RATE, -0.1, "rate is -0.1: must lie between 0 and 10"),
        (RATE, math.nan, "rate is not a number"),
        (PITCH, 91.0, "between -90 and 90"),
        (KIND, "mjpeg", "one of raw, compressed"),
        (MODE, "fast", "mode is 'fast': must be one of \"\", default"),
    ],
)
def test_wrong_values_are_refused_with_a_reason(spec: Spec, value: object, words: str) -> None:
    assert words in (spec.refusal(value) or "")
