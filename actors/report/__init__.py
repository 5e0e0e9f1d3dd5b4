"""Reports: the task that makes one, and the renderer of PDF. ``reportlab`` is used here only."""

__all__: list[str] = []
