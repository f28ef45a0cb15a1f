"""Where things are on Earth: transforms, tile stores, cameras. numpy arrays in and out; no torch, no ROS."""
