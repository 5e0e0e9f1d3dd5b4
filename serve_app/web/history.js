// One user's history with the live feed joined to it.
//
// The seam. The newest userseq N is read first and the feed opened strictly after N; what is at or
// below N comes from the history, everything above from the feed. userseq is dense, so a live record
// that is not the next one shows a hole, and the hole is read from the history before anything is
// shown. With a filter the feed only says that something happened: which of the new records match is
// asked of the service (a chain of orders cannot be decided here), in the same way a hole is read.
//
// Live rows wait, and are counted, while the reader paused, scrolled away from the top, or paged so far
// down that the top rows were dropped.

import { getText, isAbort, pathWith } from "./api.js";
import { Feed } from "./feed.js";
import { parseExact, toPage, toRecord } from "./record.js";
import { Rows } from "./rows.js";

const PAGE_ROWS = 100;
const CAPACITY_ROWS = 1000;
const FRAME_MS = 60;
const PULL_MS = 400;
const PULL_ROWS = 1000;

/** Whether a view narrows the history. */
export function isFiltered(view) {
  return view.from !== "" || view.to !== "" || view.types.length > 0 || view.chain !== "";
}

export class History {
  /**
   * `table` draws; `on` holds the listeners: phase(name, problem) with the names loading, ready,
   * failed; older(name, problem) with more, none, loading, failed; waiting(count, away);
   * feed(state, problem, retryInS); ended(json); gap(json). `scrolledAway()` says whether the top is
   * out of sight.
   */
  constructor(table, on, scrolledAway) {
    this.table = table;
    this.on = on;
    this.scrolledAway = scrolledAway;
    this.rows = new Rows(CAPACITY_ROWS);
    this.paused = false;
    this.stopper = new AbortController();
    this.feed = null;
    this.reset();
  }

  reset() {
    this.stopper.abort();
    this.stopper = new AbortController();
    this.feed?.close();
    clearTimeout(this.frame);
    clearTimeout(this.pullTimer);
    this.frame = null;
    this.pullTimer = null;
    this.pulling = false;
    this.rows.clear();
    this.table.clear();
    /** Live records that are known and not yet shown, oldest first; at most CAPACITY_ROWS. */
    this.held = [];
    this.heldCount = 0;
    /** Everything up to this userseq is shown, held, or known not to match. */
    this.covered = 0n;
    /** The highest userseq the feed has spoken of. */
    this.announced = 0n;
    this.olderQuery = null;
    this.on.waiting(0, false);
  }

  close() {
    this.reset();
    this.view = null;
  }

  /** Shows a user's history under a filter, from its newest record, and follows it. */
  async open(view) {
    this.reset();
    this.view = view;
    const { signal } = this.stopper;
    this.on.phase("loading", null);
    try {
      if (isFiltered(view)) this.covered = await this.newestSeq(signal);
      const page = await this.firstPage(signal);
      if (!isFiltered(view)) this.covered = page.records[0]?.seq ?? 0n;
      this.announced = this.covered;
      // A record above the seam comes by the feed, even if the page already had it.
      const settled = page.records.filter((record) => record.seq <= this.covered);
      this.table.append(this.rows.addOlder(settled));
      this.setOlder(page);
      this.on.phase("ready", null);
      this.follow();
    } catch (error) {
      if (!isAbort(error)) this.on.phase("failed", error);
    }
  }

  /** Adds the next page of older rows. */
  async loadOlder() {
    const { signal } = this.stopper;
    const query = this.olderQuery;
    this.on.older("loading", null);
    try {
      const page = await this.page({ order: "desc", limit: String(PAGE_ROWS), ...query }, signal);
      if (query !== this.olderQuery) return;
      this.table.append(this.rows.addOlder(page.records));
      this.setOlder(page);
      this.settle();
    } catch (error) {
      if (!isAbort(error)) this.on.older("failed", error);
    }
  }

  /** Lets live rows wait. */
  pause() {
    this.paused = true;
  }

  /** Shows what waited and goes on. */
  resume() {
    this.paused = false;
    if (this.rows.topDropped || this.heldCount > this.held.length) this.open(this.view);
    else this.settle();
  }

  /** Shows what waits, if nothing asks it to wait any longer. */
  settle() {
    if (!this.waits && this.heldCount > this.held.length) this.open(this.view);
    else if (!this.waits && this.held.length > 0) this.release();
    else this.on.waiting(this.heldCount, this.rows.topDropped);
  }

  get waits() {
    return this.paused || this.rows.topDropped || this.scrolledAway();
  }

  async newestSeq(signal) {
    const path = pathWith("/v1/history", { user: this.view.user, order: "desc", limit: "1" });
    return toPage(await getText(path, signal)).records[0]?.seq ?? 0n;
  }

  // A page may end at the service's scan budget with nothing found yet: then the search goes on.
  async firstPage(signal) {
    let page = await this.page({ order: "desc", limit: String(PAGE_ROWS) }, signal);
    while (page.records.length === 0 && !page.complete && page.cursor !== null) {
      const query = { order: "desc", limit: String(PAGE_ROWS), cursor: page.cursor };
      page = await this.page(query, signal);
    }
    return page;
  }

  async page(query, signal) {
    const { user, from, to, types, chain } = this.view;
    const path = pathWith("/v1/history", { user, from, to, type: types, chain, ...query });
    return toPage(await getText(path, signal));
  }

  setOlder(page) {
    this.olderQuery = page.cursor === null ? null : { cursor: page.cursor };
    this.on.older(this.olderQuery === null ? "none" : "more", null);
  }

  follow() {
    this.feed = new Feed(this.view.user, {
      record: (json) => this.arrived(toRecord(parseExact(json))),
      gap: (json) => this.gap(json),
      end: (json) => this.on.ended(json),
      state: (...facts) => this.on.feed(...facts),
    });
    this.feed.open(this.covered);
  }

  retryFeed() {
    this.feed?.retry();
  }

  arrived(record) {
    if (record.seq > this.announced) this.announced = record.seq;
    const next = record.seq === this.covered + 1n;
    if (record.seq <= this.covered) return;
    if (next && !isFiltered(this.view) && !this.pulling) {
      this.covered = record.seq;
      this.hold([record]);
    } else {
      this.schedulePull();
    }
  }

  // Records that are no longer kept are in the history no more either: begin again from what is.
  gap(json) {
    this.on.gap(json);
    this.open(this.view);
  }

  schedulePull() {
    if (this.pulling || this.pullTimer !== null) return;
    this.pullTimer = setTimeout(() => this.pull(), isFiltered(this.view) ? PULL_MS : 0);
  }

  // Reads everything between what is covered and what the feed has announced.
  async pull() {
    const { signal } = this.stopper;
    this.pullTimer = null;
    this.pulling = true;
    try {
      while (this.covered < this.announced) await this.pullPages(this.announced, signal);
      this.pulling = false;
    } catch (error) {
      if (isAbort(error)) return;
      this.pulling = false;
      this.on.feed("stopped", error, 0);
      this.feed.close();
    }
  }

  async pullPages(goal, signal) {
    let query = { after: String(this.covered) };
    for (;;) {
      const page = await this.page({ order: "asc", limit: String(PULL_ROWS), ...query }, signal);
      const last = page.records.at(-1)?.seq ?? this.covered;
      if (last > this.covered) this.covered = last;
      this.hold(page.records);
      if (page.complete || page.cursor === null) break;
      query = { cursor: page.cursor };
    }
    if (goal > this.covered) this.covered = goal;
  }

  hold(records) {
    this.heldCount += records.length;
    this.held.push(...records);
    // Beyond the capacity the oldest could not be shown anyway; the count keeps telling of them.
    if (this.held.length > CAPACITY_ROWS) this.held.splice(0, this.held.length - CAPACITY_ROWS);
    this.frame ??= setTimeout(() => {
      this.frame = null;
      this.settle();
    }, FRAME_MS);
  }

  release() {
    const wasEmpty = this.rows.newest === null;
    const change = this.rows.addNewer(this.held);
    this.held = [];
    this.heldCount = 0;
    this.table.prepend(change, true);
    if (wasEmpty) this.on.phase("ready", null);
    if (change.dropped.length > 0) {
      this.olderQuery = { after: String(this.rows.oldest.seq) };
      this.on.older("more", null);
    }
    this.on.waiting(0, false);
  }
}
