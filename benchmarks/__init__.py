"""Load against a running service, measured from outside: ``python -m benchmarks.load``.

Doors: ``load`` is the command; ``kinds`` says what each kind of load does; ``senders`` and ``viewers`` are the
processes that make it, ``crew`` starts and asks them, ``wire`` is their client; ``payloads`` prepares what is
sent; ``measurements`` and ``table`` turn numbers into results; ``machine`` and ``processes`` say where and at
what cost; ``service`` starts a service of its own. Nothing of the product imports this package.
"""

__all__: list[str] = []
