// The whole record beside the table: its attributes and fields with their words, and its exact text as
// the service serves it.

import { getText, isAbort } from "./api.js";
import { byId, make, show } from "./dom.js";
import { say, sayProblem, unsay } from "./notice.js";
import { parseExact } from "./record.js";
import { isolated, visibleNodes } from "./text.js";
import { wordFor } from "./words.js";

export class Panel {
  /** `onClose()` is told that a person closed it; `onChain(id)` that they want an order's records. */
  constructor({ onClose, onChain }) {
    this.onChain = onChain;
    this.place = byId("panel");
    this.notice = byId("panel-notice");
    this.content = byId("panel-content");
    this.stopper = new AbortController();
    this.text = "";
    byId("panel-close").addEventListener("click", onClose);
    byId("panel-copy").addEventListener("click", () => this.copy());
  }

  get isOpen() {
    return !this.place.hidden;
  }

  hide() {
    this.stopper.abort();
    show(this.place, false);
  }

  /** Shows the record `LOG/INDEX`. */
  async open(name) {
    this.stopper.abort();
    this.stopper = new AbortController();
    const { signal } = this.stopper;
    show(this.place, true);
    // Where the panel covers everything, the keyboard and a screen reader go with it.
    if (window.getComputedStyle(this.place).position === "fixed") this.place.focus();
    show(this.content, false);
    byId("panel-title").textContent = "Record";
    say(this.notice, { title: "Loading the record…" });
    try {
      this.text = await getText(`/v1/records/${name}`, signal);
      unsay(this.notice);
      this.draw(parseExact(this.text), name);
    } catch (error) {
      if (!isAbort(error)) sayProblem(this.notice, error, () => this.open(name));
    }
  }

  draw(record, name) {
    byId("panel-title").replaceChildren(`Record ${record.userseq} of `, isolated(record.authid ?? ""));
    byId("panel-name").textContent = `Log ${name.replace("/", ", index ")}`;
    const { data, ...attributes } = record;
    const fields = typeof data === "object" && data !== null && !Array.isArray(data) ? data : {};
    byId("panel-data").replaceChildren(...lines(fields));
    byId("panel-attributes").replaceChildren(...lines(attributes));
    show(byId("panel-data-part"), Object.keys(fields).length > 0);
    this.drawChain(fields);
    byId("panel-text").replaceChildren(...visibleNodes(this.text, "\n\t"));
    byId("panel-copied").textContent = "";
    show(this.content, true);
    this.place.scrollTop = 0;
  }

  drawChain(fields) {
    const id = typeof fields.ClOrdID === "string" ? fields.ClOrdID : "";
    const button = byId("panel-chain");
    show(button, id !== "");
    button.onclick = () => this.onChain(id);
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.text);
      byId("panel-copied").textContent = "Copied";
    } catch {
      // No clipboard without a secure connection or permission: mark the text, ready for the keys.
      window.getSelection().selectAllChildren(byId("panel-text"));
      byId("panel-copied").textContent = "Marked; copy it with the keyboard";
    }
  }
}

function lines(object) {
  return Object.entries(object).flatMap(([name, value]) => [
    make("dt", {}, isolated(name)),
    make("dd", {}, ...valueNodes(name, value)),
  ]);
}

function valueNodes(name, value) {
  if (typeof value !== "string") return [isolated(JSON.stringify(value))];
  const word = wordFor(name, value);
  const own = isolated(value);
  return word === "" ? [own] : [own, make("span", { class: "word" }, ` ${word}`)];
}
