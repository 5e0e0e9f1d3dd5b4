"""The command line. ``main.main`` is the entry point; one module for each command."""

__all__: list[str] = []
