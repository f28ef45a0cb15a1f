"""Errors a user can act on.

Every message names what is wrong, where, and what to do about it; nodes turn them into diagnostics and service answers,
the command line prints them without a traceback.
"""


class CvgeoError(ValueError):
    """Base of all errors this package raises on bad input."""


class ClickError(CvgeoError):
    """A click that is not a number or lies outside its frame."""


class ImageError(CvgeoError):
    """An image that is truncated, empty or in an encoding that cannot be read."""


class MapError(CvgeoError):
    """A map that cannot be opened, carries no georeference or does not cover the place asked for."""


class WeightsError(CvgeoError):
    """Model weights that are missing, damaged or belong to another architecture."""


class CalibrationError(CvgeoError):
    """A camera model or attitude that cannot be used."""


class SceneError(CvgeoError):
    """A scene folder with a missing or malformed file."""


class DatasetError(CvgeoError):
    """A data set with a missing or malformed file or entry."""


class TrainingError(CvgeoError):
    """A configuration, device or checkpoint that a training cannot use."""


class BagError(CvgeoError):
    """A bag that cannot be read or written, or lacks a topic or the definition of a type."""


class AutopilotError(CvgeoError):
    """A link to an autopilot, a geoid grid or a setting of theirs that cannot be used."""


class PlaceError(CvgeoError):
    """A sentence that cannot be searched for, or an index of places or a library of theirs that cannot be used."""


class ExportError(CvgeoError):
    """A network that cannot be exported here, or whose file computes something else."""
