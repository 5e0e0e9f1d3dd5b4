// Finding a user: by the beginning of the name, else the most recently active.

import { getText, isAbort, pathWith } from "./api.js";
import { byId, make, show } from "./dom.js";
import { say, sayProblem, unsay } from "./notice.js";
import { parseExact } from "./record.js";
import { isolated } from "./text.js";
import { grouped, utc } from "./words.js";

const PAGE_USERS = 50;
const TYPING_MS = 150;

export class Users {
  /** `onChoose(user)` is told the chosen user; `linkTo(user)` gives the address that shows one. */
  constructor({ onChoose, linkTo }) {
    this.onChoose = onChoose;
    this.linkTo = linkTo;
    this.list = byId("user-list");
    this.notice = byId("user-notice");
    this.input = byId("user-prefix");
    this.more = byId("user-more");
    this.stopper = new AbortController();
    this.cursor = null;
    this.chosen = "";
    this.loading = Promise.resolve();
    this.input.addEventListener("input", () => this.typed());
    this.input.addEventListener("keydown", (event) => this.pressed(event));
    this.list.addEventListener("keydown", (event) => this.pressed(event));
    this.list.addEventListener("click", (event) => this.clicked(event));
    this.list.addEventListener("focusin", (event) => this.entered(event.target.closest("a")));
    this.more.addEventListener("click", () => this.load(true));
    byId("user-form").addEventListener("submit", (event) => this.submitted(event));
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(false), TYPING_MS);
  }

  // Enter takes the user of exactly this name, else the first on the list.
  async submitted(event) {
    event.preventDefault();
    clearTimeout(this.timer);
    await this.load(false);
    const links = [...this.list.querySelectorAll("a")];
    const wanted = links.find((link) => link.dataset.user === this.input.value) ?? links[0];
    if (wanted !== undefined) this.onChoose(wanted.dataset.user);
  }

  clicked(event) {
    const link = event.target.closest("a");
    if (link === null || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.onChoose(link.dataset.user);
  }

  pressed(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    const stops = [this.input, ...this.list.querySelectorAll("a")];
    event.preventDefault();
    stops[stops.indexOf(event.target.closest("a") ?? this.input) + step]?.focus();
  }

  /** Marks the user whose history is on show. */
  choose(user) {
    this.chosen = user;
    for (const link of this.list.querySelectorAll("a")) this.mark(link);
  }

  // One user at a time is in the tab order; the arrow keys move it.
  entered(link) {
    if (link === null) return;
    for (const other of this.list.querySelectorAll('a[tabindex="0"]')) other.tabIndex = -1;
    link.tabIndex = 0;
  }

  mark(link) {
    if (link.dataset.user === this.chosen) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }

  /** Reads the list for what is typed; `further` adds the next page instead. */
  async load(further) {
    this.stopper.abort();
    this.stopper = new AbortController();
    const { signal } = this.stopper;
    const prefix = this.input.value;
    const cursor = further ? this.cursor : null;
    const path = pathWith("/v1/users", { prefix, limit: String(PAGE_USERS), cursor });
    try {
      const page = parseExact(await getText(path, signal));
      // The most recently active change places between two pages; nobody is listed twice.
      const listed = new Set(further ? this.listedUsers() : []);
      const items = page.items.filter((item) => !listed.has(item.user)).map((item) => this.draw(item));
      if (!further) this.list.replaceChildren();
      this.list.append(...items);
      this.cursor = page.next_cursor ?? null;
      show(this.more, this.cursor !== null);
      this.entered(this.list.querySelector('a[tabindex="0"]') ?? this.list.querySelector("a"));
      this.sayCount(prefix);
    } catch (error) {
      if (isAbort(error)) return;
      this.list.replaceChildren();
      show(this.more, false);
      sayProblem(this.notice, error, () => this.load(false));
    }
  }

  listedUsers() {
    return [...this.list.querySelectorAll("a")].map((link) => link.dataset.user);
  }

  sayCount(prefix) {
    byId("user-caption").textContent = prefix === "" ? "Most recently active" : "Matching users";
    if (this.list.childElementCount > 0) unsay(this.notice);
    else if (prefix === "") {
      const detail = "Users appear here with their first event.";
      say(this.notice, { title: "No events yet", detail });
    } else {
      const title = `No user begins with “${prefix}”`;
      say(this.notice, { title, detail: "Capital and small letters differ." });
    }
  }

  draw(item) {
    const last = utc(item.last_time ?? "");
    const when = last === null ? "" : `${last.date} ${last.clock.slice(0, 8)}`;
    const link = make(
      "a", { href: this.linkTo(item.user), tabindex: "-1" },
      isolated(item.user, { class: "user-name" }),
      make("span", { class: "user-count", title: "Records" }, grouped(item.count)),
      make("span", { class: "user-last", title: "Time of the last event (UTC)" }, when),
    );
    link.dataset.user = item.user;
    this.mark(link);
    return make("li", {}, link);
  }
}
