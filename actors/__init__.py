"""Single-writer actors over the stores, and the one module that starts them.

The classes are plain; ``ray.remote``, options and names are applied in ``actors.wiring``, handles are
touched in ``actors.client`` only.
"""

__all__: list[str] = []
