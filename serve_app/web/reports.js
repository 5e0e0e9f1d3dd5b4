// Asking for a report of the history on show, seeing it being made, and fetching it. The newest ones of
// the chosen user are listed; the service keeps them, so they are found again after a reload.

import { Problem, call, getText, isAbort, textOf } from "./api.js";
import { byId, make, show } from "./dom.js";
import { sayProblem, unsay } from "./notice.js";
import { parseExact } from "./record.js";
import { isolated, visibleNodes } from "./text.js";
import { grouped, typesAsTyped, utc } from "./words.js";

const POLL_MS_MIN = 400;
const POLL_MS_MAX = 3000;
const LISTED_REPORTS = 3;
const REFUSALS_MAX = 5;

// Reports without anything to fetch or to wait for are not listed again.
const PAST = ["cancelled", "expired"];

const ENDINGS = {
  failed: "Failed",
  cancelled: "Cancelled",
  expired: "No longer kept",
};

export class Reports {
  constructor() {
    this.dialog = byId("report-dialog");
    this.notice = byId("report-notice");
    this.list = byId("report-list");
    this.view = null;
    this.key = "";
    this.user = "";
    /** Whether the one who is signed in may see the list of reports. */
    this.listable = false;
    this.stopper = new AbortController();
    byId("report-cancel").addEventListener("click", () => this.dialog.close());
    byId("report-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
  }

  /** Lists the reports of this user. */
  async choose(user) {
    if (user === this.user) return;
    this.clear();
    this.user = user;
    if (user === "" || !this.listable) return;
    const { signal } = this.stopper;
    try {
      const page = parseExact(await getText("/v1/reports", signal));
      const own = page.items.filter((report) => report.request.user === user);
      const usable = own.filter((report) => !PAST.includes(report.status));
      // The newest first; what was asked for in the meantime is on the list already.
      for (const report of usable.slice(0, LISTED_REPORTS)) this.list.append(...this.enter(report));
      this.trim();
    } catch (problem) {
      // The list is an extra; asking for a report says what is wrong.
      if (!isAbort(problem) && !(problem instanceof Problem)) throw problem;
    }
  }

  /** Opens the question for this view's user and filter. */
  open(view) {
    this.view = view;
    // One key for one question: a second try after a lost answer does not make a second document.
    this.key = randomKey();
    unsay(this.notice);
    byId("report-user").replaceChildren(isolated(view.user));
    byId("report-range").textContent = rangeInWords(view);
    show(byId("report-chain-note"), view.chain !== "");
    this.dialog.showModal();
  }

  async ask() {
    const { user, from, to, types } = this.view;
    const choice = new FormData(byId("report-form")).get("format");
    const format = choice === "spreadsheet" ? "csv" : choice;
    const body = { user, format, timezone: "UTC" };
    if (choice === "spreadsheet") body.profile = "spreadsheet";
    if (from !== "") body.from = from;
    if (to !== "") body.to = to;
    if (types.length > 0) body.type = types;
    const button = byId("report-ask");
    button.disabled = true;
    try {
      const headers = { "Idempotency-Key": `${this.key}-${choice}` };
      const response = await call("POST", "/v1/reports", { body, headers });
      const report = parseExact(await textOf(response));
      this.dialog.close();
      if (report.request.user === this.user) this.list.prepend(...this.enter(report));
      this.trim();
    } catch (problem) {
      sayProblem(this.notice, problem);
    } finally {
      button.disabled = false;
    }
  }

  // The new element of a report, which is watched from now on; none where it is listed already.
  enter(report) {
    const listed = [...this.list.children].some((element) => element.dataset.id === report.id);
    if (listed) return [];
    const entry = new ReportEntry(report);
    queueMicrotask(() => this.watch(report, entry));
    return [entry.element];
  }

  trim() {
    while (this.list.childElementCount > LISTED_REPORTS) this.list.lastElementChild.remove();
    show(byId("reports"), this.list.childElementCount > 0);
  }

  async watch(report, entry) {
    const path = `/v1/reports/${report.id}`;
    if (entry.update(report, path)) return;
    let pause = POLL_MS_MIN;
    let refusals = 0;
    while (entry.element.isConnected) {
      try {
        const now = parseExact(await getText(path));
        refusals = 0;
        if (entry.update(now, path)) return;
      } catch (problem) {
        refusals += 1;
        const passing = problem.status === 0 || problem.status === 429 || problem.status >= 500;
        if (!passing || refusals >= REFUSALS_MAX) {
          entry.fail(problem.title, problem);
          return;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(POLL_MS_MAX, pause * 1.3);
    }
  }

  /** Forgets what was asked for; the next person at this screen sees nothing of it. */
  clear() {
    this.stopper.abort();
    this.stopper = new AbortController();
    this.user = "";
    this.list.replaceChildren();
    show(byId("reports"), false);
    if (this.dialog.open) this.dialog.close();
  }
}

class ReportEntry {
  constructor(report) {
    const { format, from = "", to = "", type = [] } = report.request;
    const asked = utc(report.created);
    const when = asked === null ? "" : `, as of ${asked.date} ${asked.clock.slice(0, 5)} UTC`;
    const range = rangeInWords({ from, to, types: type }) + when;
    this.state = make("span", { class: "report-state", role: "status" }, "Waiting to be made");
    this.progress = make("progress", { "aria-label": "Rows written", max: "1" });
    this.result = make("span", { class: "report-result" });
    this.format = format.toUpperCase();
    this.element = make(
      "li", { "data-id": report.id },
      make("span", { class: "report-name" }, `${this.format} report`),
      make("span", { class: "report-range" }, ...visibleNodes(range)),
      this.state, this.progress, this.result,
    );
  }

  /** Shows a report's status; true when nothing will change any more. */
  update(report, path) {
    const { done, total } = report.progress ?? { done: "0", total: "0" };
    if (report.status === "succeeded") {
      this.finish("Ready");
      const rows = Number(total) > 0 ? ` (${grouped(total)} rows)` : "";
      const link = make("a", { href: `${path}/content`, download: true }, `Download ${this.format}`);
      this.result.replaceChildren(link, rows);
      return true;
    }
    if (report.status in ENDINGS) {
      this.fail(ENDINGS[report.status], report.error ?? null);
      return true;
    }
    if (report.status === "running") {
      if (Number(total) > 0) this.progress.value = Number(done) / Number(total);
      const rows = Number(total) > 0 ? `${grouped(done)} of ${grouped(total)} rows` : "";
      this.result.textContent = rows;
      if (this.state.textContent !== "Being made") this.state.textContent = "Being made";
    }
    return false;
  }

  /** Shows why there is no document; `reason` has a detail and a code, or is null. */
  fail(state, reason) {
    this.finish(state);
    this.element.classList.add("failed");
    if (reason === null) return;
    this.result.replaceChildren(
      ...visibleNodes(`${reason.detail} `), make("code", {}, reason.code),
    );
  }

  finish(state) {
    this.state.textContent = state;
    this.progress.remove();
  }
}

function rangeInWords({ from, to, types }) {
  const parts = [];
  if (from === "" && to === "") parts.push("the whole history");
  if (from !== "") parts.push(`from ${from}`);
  if (to !== "") parts.push(`before ${to}`);
  if (types.length > 0) parts.push(`types ${typesAsTyped(types)}`);
  return parts.join(", ");
}

// crypto.randomUUID is missing on plain HTTP beyond localhost; this is not.
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
