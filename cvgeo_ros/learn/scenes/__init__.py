"""Procedural worlds and their drone and satellite views: training material with exact truth, deterministic by seed."""
