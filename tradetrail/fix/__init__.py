"""FIX logs in: from bytes of a log file to events.

Doors, in the order a log passes them: ``reader`` frames and splits messages, ``mapping`` makes
each one an event with the help of ``groups``, ``redaction`` and ``times``; ``dictionary`` holds
the facts of the standard; ``sample`` is a made-up log. All of it is pure: no clock, no network;
only ``reader`` reads, from the stream it is given.
"""

__all__: list[str] = []
