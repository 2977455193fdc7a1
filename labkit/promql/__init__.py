"""Asking Prometheus: PromQL in, DataFrames out."""
