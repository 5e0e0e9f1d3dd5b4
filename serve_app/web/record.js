// A record as the page sees it. Pure. Numbers stay the text they came as: what a double cannot hold
// (an order id of 2^53 + 1, a price of 0.10) is shown digit by digit.

import { shortType, wordFor, wordOrCode } from "./words.js";

// A string, or a number outside one. Strings come first, so digits inside them are passed over.
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

/** JSON.parse that gives each number as the string of its digits. */
export function parseExact(json) {
  return JSON.parse(
    json.replace(STRING_OR_NUMBER, (token) => (token[0] === '"' ? token : `"${token}"`)),
  );
}

function text(value) {
  return typeof value === "string" ? value : "";
}

function first(data, ...names) {
  for (const name of names) {
    const value = text(data[name]);
    if (value !== "") return value;
  }
  return "";
}

function symbolOf(data) {
  const own = text(data.Symbol);
  if (own !== "" || !Array.isArray(data.NoRelatedSym)) return own;
  const symbols = data.NoRelatedSym.map((group) => text(group?.Symbol)).filter((name) => name !== "");
  return symbols.length > 1 ? `${symbols[0]} +${symbols.length - 1}` : (symbols[0] ?? "");
}

// ExecType of a fill: FIX 4.2 has two, later versions one.
const FILLS = new Set(["1", "2", "F"]);

function statusOf(data) {
  const state = wordOrCode("OrdStatus", text(data.OrdStatus));
  const execution = wordOrCode("ExecType", text(data.ExecType));
  if (execution === "" || execution === state || data.ExecType === "I") return state;
  // A fill is told by its quantity; the state says what it left of the order.
  if (FILLS.has(data.ExecType) && (data.OrdStatus === "1" || data.OrdStatus === "2")) return state;
  return state === "" ? execution : `${execution} · ${state}`;
}

/**
 * One record, ready to be drawn: `seq` as BigInt to compare by, everything else as strings.
 * `timeIsStored` says that the event has no time of its own.
 */
export function toRecord(served) {
  const data = typeof served.data === "object" && served.data !== null ? served.data : {};
  const fill = FILLS.has(text(data.ExecType)) ? first(data, "LastQty", "LastShares") : "";
  const side = text(data.Side);
  return {
    seq: BigInt(served.userseq),
    log: served.log,
    logindex: served.logindex,
    user: text(served.authid),
    time: text(served.time) || served.storedtime,
    timeIsStored: text(served.time) === "",
    type: text(served.type),
    shortType: shortType(text(served.type)),
    symbol: symbolOf(data),
    side: wordFor("Side", side) || side,
    sideCode: side,
    quantity: first(data, "OrderQty"),
    filled: fill,
    price: (fill !== "" && first(data, "LastPx")) || first(data, "Price", "StopPx"),
    orderId: first(data, "ClOrdID", "OrderID"),
    status: statusOf(data),
  };
}

/** The page of `GET /v1/history` as `{records, cursor, complete}`. */
export function toPage(json) {
  const page = parseExact(json);
  return {
    records: page.items.map(toRecord),
    cursor: page.next_cursor ?? null,
    complete: page.complete,
  };
}
