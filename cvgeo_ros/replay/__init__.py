"""Bags played through the navigator offline: what the nodes would have said, how far off, and what changed."""
