"""Start camera (or bag), localizer and visualizer in one namespace, and, if asked for, what feeds an autopilot.

ros2 launch cvgeo_ros cvgeo.launch.py map:=area.tif camera:=/dev/video0
ros2 launch cvgeo_ros cvgeo.launch.py map:=area.tif camera:=/dev/video0 autopilot:=mavlink connection:=/dev/ttyACM0
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.launch_context import LaunchContext
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, NotEqualsSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

from launch import LaunchDescription

ARGUMENTS = {
    "map": ("", "GeoTIFF, MBTiles file or XYZ folder to search in; empty: call the service load_map later"),
    "camera": ("", "folder, scene, video file, /dev/video0 or URL; empty: somebody else publishes image"),
    "telemetry": ("", "frames.csv of the camera's folder or video"),
    "loop": ("false", "start the camera's source again after its end"),
    "bag": ("", "bag to play instead of a camera; give use_sim_time:=true with it"),
    "model": ("nano", "model name, or path of a .safetensors file"),
    "device": ("auto", "auto, cpu or cuda"),
    "namespace": ("cvgeo", "namespace of all nodes"),
    "use_sim_time": ("false", "take the time from /clock"),
    "visualizer": ("true", "draw the answers"),
    "image_transport": ("raw", "raw or compressed: which image localizer and visualizer take"),
    "vehicle_rate": ("", "frames a second by which the vehicle's own position is followed; empty: by params"),
    "place_index": ("", "index of places: its file, or the URI of a Milvus; empty: by params, or beside the map"),
    "place_window": ("", "true: search where the best place for a sentence is; empty: by params"),
    "autopilot": ("none", "who is given the vehicle's own position: none, mavlink (ArduPilot) or px4 (uXRCE-DDS)"),
    "connection": ("", "to the autopilot: udpin:HOST:PORT, udpout:HOST:PORT or a serial device; empty: by params"),
    "mavros": ("", "namespace of mavros, such as /mavros, to take position, heading and height from"),
    "params": ("", "parameter file; default: config/cvgeo.yaml of this package"),
    "log_level": ("info", "log level of all nodes"),
}
CHOICES = {"autopilot": ["none", "mavlink", "px4"]}
VEHICLE_RATE = 5.0
"""Frames a second where an autopilot is fed and nothing else is said: ArduPilot wants 5 Hz of GPS, 4 Hz of odometry."""


def generate_launch_description() -> LaunchDescription:
    """Return the launch description."""
    config = Path(__file__).resolve().parent.parent / "config"
    defaults = {"params": str(config / "cvgeo.yaml")}
    arguments = [
        DeclareLaunchArgument(
            name, default_value=defaults.get(name, default), description=description, choices=CHOICES.get(name)
        )
        for name, (default, description) in ARGUMENTS.items()
    ]
    values = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    # Without it a 1080p image travels as fragments over UDP; a profile of the user's own goes first.
    profile = SetEnvironmentVariable(
        "FASTRTPS_DEFAULT_PROFILES_FILE",
        EnvironmentVariable("FASTRTPS_DEFAULT_PROFILES_FILE", default_value=str(config / "fastdds.xml")),
    )

    def text(name: str) -> ParameterValue:
        # A folder named 2024 must stay a string.
        return ParameterValue(values[name], value_type=str)

    def node(name: str, parameters: dict, condition: IfCondition | None = None, remappings: list | None = None) -> Node:
        return Node(
            package="cvgeo_ros",
            executable=name,
            name=name,
            namespace=values["namespace"],
            parameters=[
                ParameterFile(values["params"]),
                {"use_sim_time": ParameterValue(values["use_sim_time"], value_type=bool), **parameters},
            ],
            arguments=["--ros-args", "--log-level", values["log_level"]],
            output="screen",
            condition=condition,
            remappings=remappings,
        )

    def localizer(context: LaunchContext) -> list[Node]:
        parameters = {name: text(name) for name in ("map", "model", "device", "image_transport")}
        rate, fed = values["vehicle_rate"].perform(context), values["autopilot"].perform(context) != "none"
        if rate or fed:
            parameters["vehicle_rate"] = float(rate) if rate else VEHICLE_RATE
        if values["place_index"].perform(context):
            parameters["place_index"] = text("place_index")
        if values["place_window"].perform(context):
            parameters["place_window"] = ParameterValue(values["place_window"], value_type=bool)
        mavros = values["mavros"].perform(context)
        topics = {"fix": "global", "compass_hdg": "compass_hdg", "rel_alt": "rel_alt"} if mavros else {}
        remappings = [(own, f"{mavros}/global_position/{theirs}") for own, theirs in topics.items()]
        return [node("localizer", parameters, remappings=remappings)]

    def autopilot(context: LaunchContext) -> list[Node]:
        name = values["autopilot"].perform(context)
        if name == "px4":
            return [node("px4", {})]
        if name != "mavlink":
            return []
        parameters: dict = {"connection": text("connection")} if values["connection"].perform(context) else {}
        if values["mavros"].perform(context):
            parameters["publish_priors"] = False
        return [node("mavlink", parameters)]

    loop = ParameterValue(values["loop"], value_type=bool)
    camera = {"source": text("camera"), "telemetry": text("telemetry"), "loop": loop}
    return LaunchDescription(
        [
            *arguments,
            profile,
            node("camera", camera, IfCondition(NotEqualsSubstitution(values["camera"], ""))),
            OpaqueFunction(function=localizer),
            OpaqueFunction(function=autopilot),
            node(
                "visualizer",
                {name: text(name) for name in ("map", "image_transport")},
                IfCondition(values["visualizer"]),
            ),
            ExecuteProcess(
                cmd=["ros2", "bag", "play", values["bag"], "--clock"],
                condition=IfCondition(NotEqualsSubstitution(values["bag"], "")),
                output="screen",
            ),
        ]
    )
