"""A control plane for virtual machine scale sets with Flexible orchestration, as a deterministic and durable state machine.

Promises: a request is validated whole before anything changes; state changes only by events; an answer, or a read of the feed,
never runs ahead of the commit of what it shows; one seed and one list of requests give one log, byte for byte; nothing scans
the fleet. Refuses: what the service of August 2021 refuses, in its words. It knows nothing of inventories and queries.

Read in this order: `events` and `model` (what is kept), `log`, `clock`, `timers`, `chance`, `fleet` (the state, indexed),
`saved_state` (a quick start), `recorder` (the one way to change it), `errors`, `placement`, `control_plane` (the way in for a wish
and for time), `requests` (wishes), `controllers` (what closes a gap by itself), `documents` (state as ARM shows it), `arm` (the
front door) with `throttling` (how many requests it takes), `activity` and `activity_rates` (who sends requests when nobody else does).

Source: Azure docs, "Preview: Flexible orchestration for virtual machine scale sets in Azure", 11 August 2021.
"""
