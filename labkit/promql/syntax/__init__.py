"""PromQL as text: its parts, its words, and how it is shown."""
