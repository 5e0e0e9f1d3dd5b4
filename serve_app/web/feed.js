// The live feed of one user over EventSource. It resumes strictly after a userseq, so what was read
// before and what arrives now meet without a seam.
//
// States:  connecting ──open──> live ──connection lost──> reconnecting ──open──> live
//             any ──answer is not 200──> stopped (problem; tried again by itself where that can help)
//             any ──close()──> closed
//
// EventSource does not say why it gave up; one plain request for the same address tells.

import { Problem, call, isAbort, pathWith } from "./api.js";

const RETRY_S_MIN = 2;
const RETRY_S_MAX = 30;

export class Feed {
  /**
   * `on` holds the listeners: record(json), gap(json), end(json), state(name, problem, retryInS).
   */
  constructor(user, on) {
    this.user = user;
    this.on = on;
    this.source = null;
    this.timer = null;
    this.failures = 0;
    this.probe = null;
    this.position = "0";
  }

  /** Follows the user strictly after this userseq. */
  open(position) {
    this.close();
    this.position = String(position);
    this.connect();
  }

  close() {
    this.source?.close();
    this.source = null;
    this.probe?.abort();
    this.probe = null;
    clearTimeout(this.timer);
  }

  /** Tries again now. */
  retry() {
    this.open(this.position);
  }

  get path() {
    return pathWith("/v1/feed", { user: this.user, last_event_id: this.position });
  }

  connect() {
    this.on.state("connecting", null, 0);
    const source = new EventSource(this.path);
    this.source = source;
    source.addEventListener("open", () => {
      this.failures = 0;
      this.on.state("live", null, 0);
    });
    source.addEventListener("message", (event) => {
      this.position = event.lastEventId;
      this.on.record(event.data);
    });
    source.addEventListener("gap", (event) => {
      this.position = event.lastEventId;
      this.on.gap(event.data);
    });
    source.addEventListener("end", (event) => this.on.end(event.data));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) this.explain(source);
      else this.on.state("reconnecting", null, 0);
    });
  }

  async explain(source) {
    const probe = new AbortController();
    this.probe = probe;
    let problem;
    try {
      await call("GET", this.path, {
        headers: { Accept: "text/event-stream" },
        signal: probe.signal,
      });
      probe.abort();
      problem = new Problem({
        status: 0, code: "feed_interrupted", title: "The live feed was interrupted",
        detail: "The service answers again.",
      });
    } catch (error) {
      if (isAbort(error)) return;
      problem = error;
    }
    if (this.source === source) this.stop(problem);
  }

  stop(problem) {
    this.source = null;
    this.failures += 1;
    const helps = problem.status === 0 || problem.status === 429 || problem.status >= 500;
    // Spread, so that all viewers of a restarted service do not come back at one moment.
    const pause = Math.min(RETRY_S_MAX, RETRY_S_MIN * 2 ** (this.failures - 1));
    const retryInS = helps ? Math.max(problem.retryAfterS, pause) * (1 + Math.random() / 2) : 0;
    this.on.state("stopped", problem, Math.ceil(retryInS));
    if (helps) this.timer = setTimeout(() => this.connect(), retryInS * 1000);
  }
}
