// The ledger as a table: draws what `Rows` holds and says which record a person chose. One row at a
// time is in the tab order; the arrow keys move it.

import { make } from "./dom.js";
import { isolated, visibleText } from "./text.js";
import { utc } from "./words.js";

const STEPS = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 };

/** `LOG/INDEX`: the name of a record in the address bar and in `/v1/records/`. */
export function recordName(record) {
  return `${record.log}/${record.logindex}`;
}

export class Table {
  /** `onOpen(name)` is told the chosen record; `linkTo(name)` gives the address that shows it. */
  constructor(body, { onOpen, linkTo }) {
    this.body = body;
    this.onOpen = onOpen;
    this.linkTo = linkTo;
    /** Row elements by userseq as text: exactly the rows of the body. */
    this.elements = new Map();
    this.chosen = "";
    body.addEventListener("click", (event) => this.clicked(event));
    body.addEventListener("keydown", (event) => this.pressed(event));
    body.addEventListener("focusin", (event) => this.entered(event.target.closest("tr")));
  }

  clear() {
    this.elements.clear();
    this.body.replaceChildren();
  }

  prepend({ added, dropped }, live = false) {
    this.body.prepend(...added.map((record) => this.draw(record, live)));
    this.drop(dropped);
  }

  append({ added, dropped }) {
    this.body.append(...added.map((record) => this.draw(record, false)));
    this.drop(dropped);
  }

  /** Marks the row of the record that the panel shows. */
  choose(name) {
    this.chosen = name;
    for (const row of this.elements.values()) {
      row.classList.toggle("chosen", row.dataset.name === name);
    }
  }

  /** Puts the focus on the row of a record; false where it is not on show. */
  focus(name) {
    for (const row of this.elements.values()) {
      if (row.dataset.name === name) {
        row.querySelector("a").focus();
        return true;
      }
    }
    return false;
  }

  drop(records) {
    for (const record of records) {
      const key = String(record.seq);
      this.elements.get(key)?.remove();
      this.elements.delete(key);
    }
    const links = this.body.querySelectorAll("a");
    if (links.length > 0 && this.body.querySelector('a[tabindex="0"]') === null) {
      links[0].tabIndex = 0;
    }
  }

  draw(record, live) {
    const name = recordName(record);
    const classes = ["record"];
    if (live) classes.push("fresh");
    if (name === this.chosen) classes.push("chosen");
    const link = make(
      "a", { href: this.linkTo(name), tabindex: "-1", "aria-label": `Record ${record.seq}` },
      String(record.seq),
    );
    const row = make(
      "tr", { class: classes.join(" "), role: "row", "data-name": name, "data-seq": record.seq },
      timeCell(record),
      cell("seq", link),
      cell("type", isolated(record.shortType), record.type),
      cell("symbol", isolated(record.symbol), record.symbol),
      cell(`side ${sideClass(record.sideCode)}`, isolated(record.side), record.side),
      quantityCell(record),
      cell("price", isolated(record.price), record.price),
      cell("order", isolated(record.orderId), record.orderId),
      cell("status", isolated(record.status), record.status),
    );
    this.elements.set(String(record.seq), row);
    return row;
  }

  clicked(event) {
    const row = event.target.closest("tr.record");
    const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0;
    // Marking text in a row, to copy it, is not a click on the row.
    if (row === null || elsewhere || String(window.getSelection()) !== "") return;
    event.preventDefault();
    row.querySelector("a").focus({ preventScroll: true });
    this.onOpen(row.dataset.name);
  }

  pressed(event) {
    const rows = [...this.body.querySelectorAll("tr.record")];
    const at = rows.indexOf(event.target.closest("tr"));
    if (event.ctrlKey || event.metaKey || event.altKey || at === -1) return;
    let target = null;
    if (event.key in STEPS) target = rows[at + STEPS[event.key]] ?? null;
    else if (event.key === "Home") target = rows[0];
    else if (event.key === "End") target = rows.at(-1);
    else return;
    event.preventDefault();
    target?.querySelector("a").focus();
  }

  entered(row) {
    if (row === null) return;
    for (const link of this.body.querySelectorAll('a[tabindex="0"]')) link.tabIndex = -1;
    const link = row.querySelector("a");
    if (link !== null) link.tabIndex = 0;
  }
}

function cell(classes, content, title = "") {
  const hint = title === "" ? null : visibleText(title);
  return make("td", { class: classes, role: "cell", title: hint }, content);
}

function timeCell(record) {
  const time = utc(record.time);
  const title = record.timeIsStored ? `No time of its own; stored at ${record.time}` : record.time;
  if (time === null) return cell("time", isolated(record.time), title);
  return make(
    "td", { class: record.timeIsStored ? "time stored" : "time", role: "cell", title },
    make("span", { class: "date" }, time.date), " ", make("span", { class: "clock" }, time.clock),
  );
}

function quantityCell(record) {
  if (record.filled === "") return cell("quantity", isolated(record.quantity), record.quantity);
  const of = record.quantity === "" ? "" : `/${record.quantity}`;
  const content = make("span", {}, isolated(record.filled), isolated(of, { class: "of" }));
  return cell("quantity", content, `${record.filled} filled, of ${record.quantity || "an order"}`);
}

function sideClass(code) {
  if (["1", "3"].includes(code)) return "buy";
  return ["2", "4", "5", "6"].includes(code) ? "sell" : "";
}
