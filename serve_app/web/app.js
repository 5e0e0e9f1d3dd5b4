// Start of the page: makes the views, and carries a choice in one of them to the others and to the
// address bar. What a view does lies in its own module.

import { onSignedOut } from "./api.js";
import * as address from "./address.js";
import { byId, show } from "./dom.js";
import { Filters } from "./filters.js";
import { History, isFiltered } from "./history.js";
import { LiveBar } from "./live.js";
import { say, sayProblem, unsay } from "./notice.js";
import { Panel } from "./panel.js";
import { Reports } from "./reports.js";
import { Session } from "./session.js";
import { Table } from "./table.js";
import { isolated, visibleText } from "./text.js";
import { Users } from "./users.js";

const TOP_PX = 40;

let view = address.current();

const scroller = byId("ledger");
const notice = byId("notice");
const older = byId("older");

const table = new Table(byId("rows"), {
  onOpen: (name) => showView({ ...view, record: name }),
  linkTo: (name) => address.format({ ...view, record: name }),
});

const live = new LiveBar({
  onPause: () => trail.pause(),
  onResume: () => trail.resume(),
  onNewest: () => {
    scroller.scrollTop = 0;
    live.setPaused(false);
    trail.resume();
  },
  onRetry: () => trail.retryFeed(),
});

const trail = new History(
  table,
  {
    phase: showPhase,
    older: showOlder,
    waiting: (count, away) => live.setWaiting(count, away),
    feed: (...facts) => live.setState(...facts),
    ended: (json) => live.setEnded(json),
    gap: (json) => live.setGap(json),
  },
  () => scroller.scrollTop > TOP_PX,
);

const users = new Users({
  onChoose: (user) => showView({ ...address.parse(""), user }),
  linkTo: (user) => address.format({ user }),
});

const filters = new Filters({
  onChange: (filter) => showView({ ...view, ...filter, record: "" }),
});

const panel = new Panel({
  onClose: closePanel,
  onChain: (chain) => showView({ ...address.parse(""), user: view.user, chain, record: view.record }),
});

const reports = new Reports();

const session = new Session({
  onStart: (scopes) => {
    reports.listable = scopes.includes("audit:export");
    users.load(false);
    view = address.current();
    showUser();
    showRecord();
  },
  onStop: () => {
    trail.close();
    panel.hide();
    reports.clear();
    byId("user-list").replaceChildren();
  },
});

/** Shows another view and writes it to the address bar. */
function showView(next) {
  const before = view;
  view = next;
  const sameRows = address.format({ ...before, record: "" }) === address.format({ ...next, record: "" });
  address.go(next, { step: !sameRows });
  if (!sameRows) showUser();
  if (!sameRows || before.record !== next.record) showRecord();
}

function showUser() {
  const chosen = view.user !== "";
  document.body.classList.toggle("has-user", chosen);
  document.title = chosen ? `${visibleText(view.user)} · TradeTrail` : "TradeTrail";
  show(byId("trail"), chosen);
  show(byId("invitation"), !chosen);
  users.choose(view.user);
  reports.choose(view.user);
  if (!chosen) {
    trail.close();
    return;
  }
  byId("user-title").replaceChildren(isolated(view.user));
  filters.set(view);
  live.clear();
  trail.paused = false;
  scroller.scrollTop = 0;
  trail.open(view);
}

function showRecord() {
  table.choose(view.record);
  document.body.classList.toggle("has-record", view.record !== "");
  if (view.record === "") panel.hide();
  else panel.open(view.record);
}

function closePanel() {
  const name = view.record;
  showView({ ...view, record: "" });
  if (!table.focus(name)) scroller.focus();
}

function showPhase(name, problem) {
  show(byId("ledger-table"), name === "ready" && trail.rows.newest !== null);
  if (name === "loading") {
    show(older, false);
    say(notice, { title: "Loading the history…" });
    live.setState("connecting", null, 0);
  } else if (name === "failed") {
    sayProblem(notice, problem, () => trail.open(view));
    live.setState("off", null, 0);
  } else if (trail.rows.newest === null) {
    sayEmpty();
  } else {
    unsay(notice);
    show(older, true);
    table.choose(view.record);
  }
}

function sayEmpty() {
  if (isFiltered(view)) {
    say(notice, {
      title: "No record matches the filter",
      detail: "New ones that match appear here by themselves.",
      action: { label: "Clear the filter", run: () => byId("filter-clear").click() },
    });
  } else {
    say(notice, {
      title: "No events of this user",
      detail: "The first one appears here by itself.",
    });
  }
}

function showOlder(name, problem) {
  const button = byId("older-button");
  show(older, trail.rows.newest !== null);
  show(button, name !== "none");
  button.disabled = name === "loading";
  button.textContent = name === "loading" ? "Loading…" : "Load older";
  byId("older-end").textContent = name === "none" ? "The beginning: there is nothing older." : "";
  const place = byId("older-notice");
  if (name === "failed") sayProblem(place, problem);
  else unsay(place);
}

scroller.addEventListener("scroll", () => {
  if (scroller.scrollTop <= TOP_PX && trail.heldCount > 0) trail.settle();
});

byId("older-button").addEventListener("click", () => trail.loadOlder());
byId("report-open").addEventListener("click", () => reports.open(view));
byId("back-to-users").addEventListener("click", () => {
  showView(address.parse(""));
  byId("user-prefix").focus();
});

window.addEventListener("popstate", () => {
  view = address.current();
  showUser();
  showRecord();
});

// A key without Ctrl acts only where it is meant (the ledger), so that speech input sets nothing off.
document.addEventListener("keydown", (event) => {
  if (byId("work").hidden || byId("report-dialog").open) return;
  const command = event.ctrlKey || event.metaKey;
  if (event.key === "Escape" && panel.isOpen) {
    closePanel();
  } else if (command && !event.altKey && !event.shiftKey && event.key === "k") {
    document.body.classList.remove("has-user");
    byId("user-prefix").focus();
    byId("user-prefix").select();
  } else if (!command && !event.altKey && event.key === "p" && scroller.contains(event.target)) {
    if (!byId("pause").hidden) byId("pause").click();
  } else {
    return;
  }
  event.preventDefault();
});

onSignedOut((problem) => session.ask(problem));
session.begin();
