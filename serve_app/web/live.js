// The bar above the ledger that tells how live it is: connection, pause, and what waits.

import { byId, show } from "./dom.js";
import { grouped } from "./words.js";

const WORDS = {
  off: "Not live",
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Connection lost, reconnecting…",
};

export class LiveBar {
  constructor({ onPause, onResume, onNewest, onRetry }) {
    this.onPause = onPause;
    this.onResume = onResume;
    this.state = byId("live-state");
    this.detail = byId("live-detail");
    this.button = byId("pause");
    this.waiting = byId("waiting");
    this.paused = false;
    this.button.addEventListener("click", () => this.toggle());
    this.waiting.addEventListener("click", onNewest);
    byId("live-retry").addEventListener("click", onRetry);
  }

  toggle() {
    this.setPaused(!this.paused);
    if (this.paused) this.onPause();
    else this.onResume();
  }

  setPaused(paused) {
    this.paused = paused;
    this.button.textContent = paused ? "Resume" : "Pause";
    this.button.classList.toggle("on", paused);
    this.say();
  }

  /** How many live records wait; `away` says that the table has left the newest rows. */
  setWaiting(count, away) {
    show(this.waiting, count > 0 || away);

    this.waiting.textContent = count === 0 ? "Back to the newest" : `${grouped(count)} new · show`;
  }

  setState(name, problem, retryInS) {
    this.name = name;
    if (name === "live" || name === "off") this.detail.textContent = "";
    if (name === "stopped") this.setStopped(problem, retryInS);
    show(byId("live-retry"), name === "stopped");
    this.say();
  }

  setStopped(problem, retryInS) {
    const next = retryInS > 0 ? ` Next try in ${retryInS} s.` : "";
    this.detail.textContent = `${problem.title}: ${problem.detail} (${problem.code})${next}`;
  }

  /** The service ended the stream and said why; the browser asks for it again by itself. */
  setEnded(json) {
    this.detail.textContent = `The service ended the feed: ${reasonIn(json)}.`;
  }

  setGap(json) {
    this.detail.textContent = `Some records are no longer kept: ${reasonIn(json)}.`;
  }

  say() {
    const halted = this.name === "stopped" ? "Live feed stopped" : (WORDS[this.name] ?? "");
    const words = this.paused && this.name === "live" ? "Live, paused" : halted;
    this.state.dataset.state = this.paused && this.name === "live" ? "paused" : this.name;
    if (this.state.textContent !== words) this.state.textContent = words;
  }
}

// What a control event says, for a person: its detail or reason, else the whole of it.
function reasonIn(json) {
  try {
    const said = JSON.parse(json);
    return String(said.detail ?? said.reason ?? json).replace(/\.$/, "");
  } catch {
    return json;
  }
}
