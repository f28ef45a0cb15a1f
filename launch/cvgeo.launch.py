"""Start camera (or bag), localizer and visualizer in one namespace.

ros2 launch cvgeo_ros cvgeo.launch.py map:=area.tif camera:=/dev/video0
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, ExecuteProcess, SetEnvironmentVariable
from launch.conditions import IfCondition
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
    "params": ("", "parameter file; default: config/cvgeo.yaml of this package"),
    "log_level": ("info", "log level of all nodes"),
}


def generate_launch_description() -> LaunchDescription:
    """Return the launch description."""
    config = Path(__file__).resolve().parent.parent / "config"
    defaults = {"params": str(config / "cvgeo.yaml")}
    arguments = [
        DeclareLaunchArgument(name, default_value=defaults.get(name, default), description=description)
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

    def node(name: str, parameters: dict, condition: IfCondition | None = None) -> Node:
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
        )

    loop = ParameterValue(values["loop"], value_type=bool)
    camera = {"source": text("camera"), "telemetry": text("telemetry"), "loop": loop}
    return LaunchDescription(
        [
            *arguments,
            profile,
            node("camera", camera, IfCondition(NotEqualsSubstitution(values["camera"], ""))),
            node(
                "localizer",
                {name: text(name) for name in ("map", "model", "device", "image_transport")},
            ),
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
