"""The HTTP edge: routes, their wiring to the actors, the launcher, and the page."""

__all__: list[str] = []
