// The rows on show: an unbroken run of one user's (filtered) records, newest first, at most `capacity`
// of them. Pure: it holds no elements. Each call says which records came and which went, and the table
// follows. Keyed by userseq, so a record that arrives twice is one row.

export class Rows {
  constructor(capacity) {
    this.capacity = capacity;
    this.clear();
  }

  clear() {
    /** Newest first. */
    this.records = [];
    /** Whether rows newer than the first were dropped: then live rows have no place to join. */
    this.topDropped = false;
  }

  get newest() {
    return this.records.at(0) ?? null;
  }

  get oldest() {
    return this.records.at(-1) ?? null;
  }

  /** Adds records above; drops the oldest beyond the capacity. Returns `{added, dropped}`. */
  addNewer(records) {
    const limit = this.newest?.seq ?? -1n;
    const added = distinct(records).filter((record) => record.seq > limit);
    this.records = [...added, ...this.records];
    const dropped = this.records.splice(this.capacity);
    return { added: added.filter((record) => !dropped.includes(record)), dropped };
  }

  /** Adds records below; drops the newest beyond the capacity. Returns `{added, dropped}`. */
  addOlder(records) {
    const limit = this.oldest?.seq ?? null;
    const added = distinct(records).filter((record) => limit === null || record.seq < limit);
    this.records = [...this.records, ...added];
    const surplus = Math.max(0, this.records.length - this.capacity);
    const dropped = this.records.splice(0, surplus);
    this.topDropped ||= surplus > 0;
    return { added, dropped };
  }
}

function distinct(records) {
  const sorted = [...records].sort((a, b) => (a.seq < b.seq ? 1 : a.seq > b.seq ? -1 : 0));
  return sorted.filter((record, at) => at === 0 || record.seq !== sorted[at - 1].seq);
}
