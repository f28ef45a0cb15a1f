"""rosbag2 bags without ROS: their message types, writing and reading (by rosbags)."""
