"""Long runs of damaged captures through both engines: ``python -m tests.fuzz --help``."""
