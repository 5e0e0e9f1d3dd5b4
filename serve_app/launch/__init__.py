"""Starts and stops one service on one machine: ports, environment, HAProxy, Ray, signals."""

__all__: list[str] = []
