"""A control plane for virtual machine scale sets with Flexible orchestration, as a deterministic and durable state machine.

Promises:

- A request is validated as a whole before anything changes.
- State changes only by events.
- An answer, or a read of the feed, shows only what is committed.
- The same seed and requests give the same log, byte for byte.
- No request and no timer scans the fleet.

Refuses what the service of August 2021 refuses, in its words. Never knows of inventories and queries.

A request from the door to the log:

    arm        PATCH ../virtualMachineScaleSets/web {"sku": {"capacity": 3}}
    routes     finds `requests.scale_sets.put`, which validates the whole body
    recorder   `change` of web: capacity 3, due now; a timer wakes the scale set controller
    log        the commit writes the events; then the front door answers 200 with the operation's URL
    timers     `controllers.scale_set.wake` creates a VM in the step "allocate", with a timer at its end
    timers     `controllers.vm.wake` ends each step, until the VM is running and the operation has succeeded

Read in this order: `events` and `model` (the records), `log`, `clock`, `timers`, `chance`, `fleet` (the state, indexed), `saved_state` (a
quick start), `recorder` (the only way to change the state), `errors`, `placement`, `control_plane` (runs request handlers and advances
time), `requests` (the request handlers), `controllers` (each brings resources to their desired state), `arm_documents` (resources as JSON),
`arm` (the front door) with `routes` and `throttling`, `activity` and `activity_rates` (simulated operators and pipelines).

Source: Azure docs, "Preview: Flexible orchestration for virtual machine scale sets in Azure", 11 August 2021.
"""
