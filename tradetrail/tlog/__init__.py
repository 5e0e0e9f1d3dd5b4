"""The transparency log's formats, pure: entries, trees, tiles and notes."""

__all__: list[str] = []
