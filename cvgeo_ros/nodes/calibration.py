"""CameraInfo from a calibration file or a field of view."""

import math
from pathlib import Path
from typing import Any

import yaml
from sensor_msgs.msg import CameraInfo

from cvgeo_ros.errors import CalibrationError
from cvgeo_ros.geo.camera import PinholeCamera


def info_from_hfov(width: int, height: int, hfov: float | None) -> CameraInfo:
    """Return the CameraInfo of an ideal camera with square pixels.

    Args:
        width, height: Size of the image, px.
        hfov: Horizontal field of view, deg; None = unknown, which K = 0 says ("uncalibrated").
    """
    info = CameraInfo(width=width, height=height, distortion_model="plumb_bob", d=[0.0] * 5)
    if hfov is None:
        return info
    k = PinholeCamera.from_hfov(width, height, math.radians(hfov)).to_matrix()
    info.k = k
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [*k[0:3], 0.0, *k[3:6], 0.0, *k[6:9], 0.0]
    return info


def info_from_file(url: str) -> CameraInfo:
    """Read the YAML file that camera_calibration writes.

    Args:
        url: Path, or "file://" and a path.

    Raises:
        CalibrationError: The file is missing or malformed; names the field.
    """
    path = Path(url.removeprefix("file://")).expanduser()
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise CalibrationError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path}: not YAML: {error}") from error
    if not isinstance(data, dict):
        raise CalibrationError(f"{path}: not a camera calibration: image_width, image_height and camera_matrix needed")
    try:
        return CameraInfo(
            width=int(data["image_width"]),
            height=int(data["image_height"]),
            distortion_model=str(data.get("distortion_model", "plumb_bob")),
            d=_numbers(data, "distortion_coefficients", None),
            k=_numbers(data, "camera_matrix", 9),
            r=_numbers(data, "rectification_matrix", 9) or [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
            p=_numbers(data, "projection_matrix", 12) or [0.0] * 12,
        )
    except KeyError as error:
        raise CalibrationError(f"{path}: field {error} is missing") from error
    except (TypeError, ValueError, AssertionError) as error:
        raise CalibrationError(f"{path}: {error}") from error


def _numbers(data: dict[str, Any], field: str, count: int | None) -> list[float]:
    if field != "camera_matrix" and field not in data:
        return []
    numbers = [float(value) for value in data[field]["data"]]
    if count is not None and len(numbers) != count:
        raise ValueError(f"field {field}: {len(numbers)} numbers, {count} needed")
    return numbers
