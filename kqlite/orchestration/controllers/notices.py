"""Terminate notifications: which VMs are deleted before their notice ends.

Source: Azure docs, "Terminate notification for Azure Virtual Machine Scale Set instances".
"""

from __future__ import annotations

from typing import cast

from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import delete_now
from kqlite.orchestration.model import Step, Type, VmState
from kqlite.orchestration.recorder import Recorder


def pending(recorder: Recorder, group: Container, set_name: str) -> list[VmState]:
    """The VMs of a set that are under a terminate notice, the earliest end first."""
    keys = list(recorder.fleet.membership(group, set_name).notices) if set_name else []
    vms = [cast("VmState", group.of(Type.VM)[key]) for key in keys]
    return sorted(vms, key=lambda vm: (vm.due, vm.name))


def approve(recorder: Recorder, group: Container, vm: VmState) -> None:
    """The guest approves the deletion of its VM."""
    if vm.step != Step.NOTICE:
        return
    vm = recorder.change_vm(group, vm, step=Step.APPROVED)
    if vm.set:
        release(recorder, group, vm.set)
    else:
        delete_now(recorder, group, vm, vm.work)


def release(recorder: Recorder, group: Container, set_name: str) -> None:
    """Begin to delete the approved VMs whose notice ends before every open notice of the same set."""
    if not set_name:
        return
    waiting = pending(recorder, group, set_name)
    open_from = min((vm.due for vm in waiting if vm.step == Step.NOTICE), default=None)
    for vm in waiting:
        if vm.step == Step.APPROVED and (open_from is None or vm.due < open_from):
            delete_now(recorder, group, vm, vm.work)
