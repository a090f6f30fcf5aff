"""The change feed into the inventory, late: what the core commits becomes rows, change records and a watermark.

**What it promises.** In the mode `prefix` the inventory is the core's state as of one moment, which moves on and is never further behind
than the lag's bound. In `per-resource` each resource is at some state between the watermark and now, and never goes back. In both,
everything up to the watermark is in; each event has one change record, in order; rows, records, watermark and place in the log are
written in one transaction, so that a snapshotter may be stopped at any instant and taken up again. What a feed loses is found again: a
prefix fetches it when it is due, the other mode by a crawl.

**What it refuses.** A store that was made from another log (`OutOfStep`): its holder makes it anew.

**What it never does.** It asks nobody for the live fleet: a row follows from an event and the definitions before it, 60 seconds late or
a day. It reads no clock: whoever calls `tick` says what time it is.

**In which order to read.** `lag` (how late), `feed` (events, and what faults do to them), `pending` (what shows when), `rows` and `health`
(an event's row), `hot` (which changes show in hot leaves alone), `folding` (newest wins) with `shaping` (rows to Arrow), `changes`
(change records), `slow` (fields that come later than their row), `snapshotter` (pull, fold, apply), `crawl` (compare, and put right).
"""
