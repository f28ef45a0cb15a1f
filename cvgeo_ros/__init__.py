"""Cross-view object geo-localization for drones: click an object in the camera image, get its place on Earth."""

from pathlib import Path
from pkgutil import extend_path

# The sub-packages msg and srv are generated into an installation. Looking along sys.path, and behind the links of a
# symlinked installation, joins them with the modules of a source tree.
__path__ = extend_path(list(dict.fromkeys([str(Path(__file__).resolve().parent), *__path__])), __name__)
