"""stand-in"""
from __future__ import annotations
import msgspec
COLUMNS = ("userseq","log","logindex","storedtime","time","type","source","id","subject","onbehalfof","initiator","ClOrdID","OrigClOrdID","OrderID","Symbol","Side","OrderQty","Price","data")
def column_values(text: bytes) -> list[str]:
    top = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    data = bytes(top.get("data", b""))
    fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw]) if data[:1] == b"{" else {}
    def v(raw: object) -> str:
        t = bytes(raw) if raw is not None else b""
        return msgspec.json.decode(t) if t[:1] == b'"' else t.decode()
    return [v(top.get(n)) for n in COLUMNS[:11]] + [v(fields.get(n)) for n in COLUMNS[11:18]] + [data.decode()]
