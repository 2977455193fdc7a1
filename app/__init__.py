"""The instrumented Flask app that the lab watches."""
