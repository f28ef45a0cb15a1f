"""The vehicle's own position for autopilots that speak MAVLink, and what they tell in return. No ROS."""
