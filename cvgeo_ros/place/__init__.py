"""A sentence finds the place: text and images in one space, and an index of the map."""
