"""Targets for long random runs: ``python -m tests.fuzz TARGET --executions N``. A law that fails names its seed."""
