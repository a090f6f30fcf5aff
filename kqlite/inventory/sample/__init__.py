"""A seeded, realistic inventory of any size: `generate` is the way in.

Read `fleets` (which subscription has which machines), then the documents: `machines`, `attachments` (interfaces, disks, addresses,
extensions), `containers` (subscriptions, groups, scale sets), `services` (two dozen other types); then `batches` and `columns` (how
documents become record batches, column by column).
"""
