"""Brings the change feed into the inventory, late: committed events become rows, change records and a watermark.

**What it promises.**

- In the mode `prefix` the inventory is the core's state as of one moment. The moment moves on, and is never further behind than the lag's
  bound.
- In the mode `per-resource` each resource is at one of its states between the watermark and now, and never goes back to an earlier state.
- In both modes every event up to the watermark is in. Each event of a resource has one change record, and records come in order.
- Rows, change records, watermark and feed offset are written in one transaction. So a snapshotter may be stopped at any instant, and
  another one resumes on the same store.
- Events that the feed loses are found again: in `prefix` when they are due, in `per-resource` by the next crawl.

**What it refuses.** A store that was made from another log (`OutOfStep`). The caller makes the store anew.

**What it never does.** It never reads the state of the fleet: a row follows from an event and the definitions before it, so it is the same
row 60 seconds later or a day later. It reads no clock: the caller of `tick` gives the time.

**In which order to read.**

| module | what it is |
|---|---|
| `lag` | how late a change shows |
| `feed` | the events of the log, and what feed faults do to them |
| `feed_offset` | where a store resumes |
| `pending` | events that do not show yet, and which of them are due |
| `resource_rows`, `resource_health` | the row of an event |
| `hot` | events whose row differs from the row before in hot leaves alone |
| `folding` | of each resource the newest event wins |
| `row_batches` | rows to Arrow |
| `change_records` | the change record of an event |
| `guest_fields` | fields that show later than the rest of their row |
| `snapshotter` | pull, fold, apply; and the thread that does so |
| `crawl` | compares the store with the log, and repairs it |
"""
