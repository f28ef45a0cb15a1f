"""Cross-view object geo-localization for drones: click an object in the camera image, get its place on Earth."""
