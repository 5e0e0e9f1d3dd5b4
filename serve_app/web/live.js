// The bar above the ledger that tells how live it is: connection, pause, and what waits.

import { byId, show } from "./dom.js";
import { grouped } from "./words.js";

const WORDS = {
  off: "Not live",
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Connection lost, reconnecting…",
};

// Why the service ends a stream; it says anything else in words of its own.
const ENDS = {
  max_age: "it renews each connection from time to time",
  shutdown: "it is stopping or being restarted",
  token_expired: "the access token is no longer valid",
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
    /** What the history has lost, told for as long as it is on show. */
    this.gap = "";
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
    if (name === "live" || name === "off") this.detail.textContent = this.gap;
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
    this.gap = `Some records are no longer kept: ${reasonIn(json)}.`;
    this.detail.textContent = this.gap;
  }

  /** Forgets what was told of another history. */
  clear() {
    this.gap = "";
    this.detail.textContent = "";
    this.setPaused(false);
  }

  say() {
    const halted = this.name === "stopped" ? "Live feed stopped" : (WORDS[this.name] ?? "");
    const words = this.paused && this.name === "live" ? "Live, paused" : halted;
    // What does not run cannot be paused; what is paused can always go on.
    show(this.button, this.paused || !["stopped", "off"].includes(this.name));
    this.state.dataset.state = this.paused && this.name === "live" ? "paused" : this.name;
    if (this.state.textContent !== words) this.state.textContent = words;
  }
}

// What a control event says, for a person: its detail, else its reason, else the whole of it.
function reasonIn(json) {
  try {
    const said = JSON.parse(json);
    const words = said.detail ?? ENDS[said.reason] ?? said.reason ?? json;
    return String(words).replace(/\.$/, "");
  } catch {
    return json;
  }
}
