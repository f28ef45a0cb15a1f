"""Parameters of the localizer node: its own, and those of its parts."""

from cvgeo_ros.nodes import frames, places, priors, vehicle_parameters
from cvgeo_ros.nodes.parameters import Spec

SPECS = (
    Spec("autostart", True, "Configure and activate without a lifecycle manager", held=True),
    Spec("model", "nano", "Model: a name of those in models/, or the path of a .safetensors file", held=True),
    Spec("device", "auto", "Device of inference: auto, cpu, cuda or cuda:<index>", held=True),
    Spec("half_precision", False, "Encode images in bfloat16: faster where the device has it, less exact", held=True),
    Spec(
        "compile",
        "",
        "Mode of torch.compile for the encoder: the first frames take long; empty: not compiled",
        choices=("", "default", "reduce-overhead"),
        held=True,
    ),
    Spec("map", "", "GeoTIFF, MBTiles or XYZ folder to search in; empty: wait for load_map", held=True),
    Spec("cache_bytes", 512 << 20, "Memory for the tile's features, bytes", 1 << 20, 1 << 40, held=True),
    Spec("prepare_map", False, "Compute the features of the whole map at once instead of where needed", held=True),
    *frames.SPECS,
    Spec(
        "history_bytes",
        256 << 20,
        "Memory for recent images, which stamped clicks look up, bytes",
        1,
        1 << 40,
        held=True,
    ),
    Spec("stamp_slop", 0.05, "Largest difference between the stamps of a click and its image, s", 0.0, 10.0),
    Spec("frame_timeout", 1.0, "How long a stamped click waits for an image that has not arrived yet, s", 0.0, 60.0),
    Spec("image_timeout", 3.0, "Time without an image after which diagnostics warn, s; 0 = never", 0.0, 3600.0),
    Spec("queue_size", 8, "Requests that may wait for inference; more are turned away", 1, 1000),
    *priors.SPECS,
    *vehicle_parameters.SPECS,
    *places.SPECS,
)
