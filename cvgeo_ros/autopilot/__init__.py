"""What goes to any autopilot: the vehicle's own position with its uncertainty, or nothing. No ROS, no MAVLink."""
