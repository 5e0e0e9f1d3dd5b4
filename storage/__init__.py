"""Durable state on one node: the shard store, its keys and indexes, and the object store.

RocksDB and the object store are reached from here only; neither Ray nor HTTP is known here.
"""

__all__: list[str] = []
