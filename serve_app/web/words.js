// Words for codes, and times as a person reads them. Pure: strings in, strings out. A code that is not
// known is shown as it came, never hidden or guessed.

const SIDES = {
  1: "Buy", 2: "Sell", 3: "Buy minus", 4: "Sell plus", 5: "Sell short", 6: "Sell short exempt",
  7: "Undisclosed", 8: "Cross", 9: "Cross short", A: "Cross short exempt", B: "As defined",
  C: "Opposite", D: "Subscribe", E: "Redeem", F: "Lend", G: "Borrow", H: "Sell undisclosed",
};

const ORDER_STATES = {
  0: "New", 1: "Partially filled", 2: "Filled", 3: "Done for day", 4: "Cancelled", 5: "Replaced",
  6: "Pending cancel", 7: "Stopped", 8: "Rejected", 9: "Suspended", A: "Pending new",
  B: "Calculated", C: "Expired", D: "Accepted for bidding", E: "Pending replace",
};

const EXECUTIONS = {
  ...ORDER_STATES,
  1: "Partial fill", 2: "Fill", D: "Restated", F: "Trade", G: "Trade corrected",
  H: "Trade cancelled", I: "Order status", J: "Trade in clearing hold", K: "Cleared",
  L: "Triggered or activated",
};

const ORDER_TYPES = {
  1: "Market", 2: "Limit", 3: "Stop", 4: "Stop limit", 5: "Market on close", P: "Pegged",
};

const TIMES_IN_FORCE = {
  0: "Day", 1: "Good till cancel", 2: "At the opening", 3: "Immediate or cancel",
  4: "Fill or kill", 5: "Good till crossing", 6: "Good till date", 7: "At the close",
};

const FIELDS = {
  Side: SIDES, OrdStatus: ORDER_STATES, ExecType: EXECUTIONS,
  OrdType: ORDER_TYPES, TimeInForce: TIMES_IN_FORCE,
};

/** The word for the code of a FIX field, or "" where we have none. */
export function wordFor(field, code) {
  const words = FIELDS[field];
  return words !== undefined && Object.hasOwn(words, code) ? words[code] : "";
}

/** The word for a code, else the code itself. */
export function wordOrCode(field, code) {
  return wordFor(field, code) || code;
}

/** A type without what all our types share: `tradetrail.order.new.v1` reads `order.new`. */
export function shortType(type) {
  return type.replace(/^tradetrail\./, "").replace(/\.v\d+$/, "");
}

const TIME =
  /^(\d{4}-\d\d-\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/**
 * An RFC 3339 time in UTC as `{date, clock}`, or null where it is none. The fraction keeps every digit
 * that says something, in groups of three and at least milliseconds; a leap second stays one.
 */
export function utc(text) {
  const match = TIME.exec(text);
  if (match === null) return null;
  const [, date, hour, minute, second, fraction = "", sign, offsetHour, offsetMinute] = match;
  const digits = fraction.replace(/0+$/, "");
  const width = Math.max(3, Math.ceil(digits.length / 3) * 3);
  const rest = `${second}.${digits.padEnd(width, "0")}`;
  if (sign === undefined) return { date, clock: `${hour}:${minute}:${rest}` };
  const shift = (Number(offsetHour) * 60 + Number(offsetMinute)) * (sign === "+" ? -1 : 1);
  const shifted = new Date(Date.parse(`${date}T${hour}:${minute}:00Z`) + shift * 60_000);
  const minutes = shifted.toISOString();
  return { date: minutes.slice(0, 10), clock: `${minutes.slice(11, 16)}:${rest}` };
}

/** A whole number with thin groups, for reading only: 2408 is "2,408". */
export function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

const TYPED_TIME =
  /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(?::(\d\d(?:\.\d{1,9})?))?)?\s*([Zz]|[+-]\d\d:\d\d)?$/;

/**
 * What a person typed as a time, as RFC 3339; UTC where no zone is given. "" stays "", null where it
 * cannot be read.
 */
export function typedTime(text) {
  const trimmed = text.trim();
  if (trimmed === "") return "";
  const match = TYPED_TIME.exec(trimmed);
  if (match === null) return null;
  const [, date, minute = "00:00", second = "00", zone = "Z"] = match;
  const time = `${date}T${minute}:${second}${zone.toUpperCase()}`;
  const known = Date.parse(`${date}T00:00:00Z`);
  const exists = !Number.isNaN(known) && new Date(known).toISOString().startsWith(date);
  return exists && minute < "24:00" && minute.slice(3) < "60" && second < "61" ? time : null;
}

// Families of our own types, so that a person may leave the common front away.
const FAMILIES = /^(order|execution|marketdata|session|fix|audit)(\.|$)/;

/** What a person typed as types, as the filter's exact names and `….*` prefixes. */
export function typedTypes(text) {
  return text.split(/[\s,]+/).filter((word) => word !== "").map((word) => {
    if (word.endsWith(".*")) return FAMILIES.test(word) ? `tradetrail.${word}` : word;
    if (word.endsWith(".")) return FAMILIES.test(word) ? `tradetrail.${word}*` : `${word}*`;
    if (!FAMILIES.test(word)) return word;
    return /\.v\d+$/.test(word) ? `tradetrail.${word}` : `tradetrail.${word}.*`;
  });
}

/** The reverse of typedTypes, as short as a person would type it. */
export function typesAsTyped(types) {
  return types.map((type) => {
    const short = type.replace(/^tradetrail\./, "");
    if (short === type || !FAMILIES.test(short)) return type;
    return short.replace(/\.\*$/, "");
  }).join(", ");
}
