"""A dashboard's tiles: frames to pictures that are redrawn many times, or once for a report."""
