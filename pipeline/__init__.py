"""The job: settings, wiring, the command line."""
