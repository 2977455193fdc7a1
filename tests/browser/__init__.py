"""The notebooks as a person sees them: real JupyterLab in headless Chromium."""
