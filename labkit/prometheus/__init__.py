"""The Prometheus server: find or fetch its binary, configure it, run it."""
