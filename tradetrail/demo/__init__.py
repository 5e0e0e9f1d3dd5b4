"""A made-up trading day, for demonstrations, load runs and the training of dictionaries.

``day.trading_day`` is the door; ``people`` and ``events`` are its parts. Everything is made from a
seed: no clock, no IO, no real person and no real order.
"""

__all__: list[str] = []
