"""What this machine achieves: ratios between ways of doing the same work, and latency over DDS."""
