"""An observability lab in Jupyter."""
