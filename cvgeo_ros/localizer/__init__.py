"""The localizer: a frame, clicks and a cached tile in; boxes, latitudes and longitudes with their uncertainty out."""

from .localizer import Localizer
from .types import Localization, Prior, Target

__all__ = ["Localization", "Localizer", "Prior", "Target"]
