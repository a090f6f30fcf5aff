# ruff: noqa: E501  each edit stands on one line
"""Each rule of the orchestration core is switched off once, by a single edit, and some test or scenario must fail.

Run all of them by hand: KQLITE_CAMPAIGN=full pytest -m campaign tests/test_orchestration_mutations.py -s; else two are run.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = (
    "test_scenarios.py",
    "test_orchestration_errors.py",
    "test_orchestration_controllers.py",
    "test_orchestration_log.py",
    "test_orchestration_properties.py",
    "test_placement.py",
    "test_autoscale.py",
    "test_simulation.py",
    "test_orchestration_later.py",
    "test_orchestration_throttling.py",
    "test_orchestration_saved_state.py",
    "test_orchestration_bad_input.py",
    "test_orchestration_parts.py",
    "test_orchestration_schema.py",
    "test_orchestration_answers.py",
)
# name, file below kqlite/orchestration, what stands there, what stands there instead
EDITS: list[tuple[str, str, str, str]] = [
    ("even spread", "placement.py", "return members.index(min(members))", "return 0"),
    ("fullest domain gives first", "placement.py", "-len(domains[domain]), domain[0]", "domain[0]"),
    ("profile instances leave first", "placement.py", "return (from_profile, vm.provisioning", "return (True, vm.provisioning"),
    ("region maximum", "placement.py", "FAULT_DOMAINS.get(location, 2) if multiple", "3 if multiple"),
    ("zonal maximum", "placement.py", "1 if zonal else highest", "highest"),
    ("explicit fault domain", "requests/vm_creation.py", "int(wanted) if wanted is not None else", "0 if wanted == 99 else"),
    ("fault domain range", "requests/vm_creation.py", "if domain is not None and not (scale_set.domains > 1 and", "if domain == 99 and not (scale_set.domains > 1 and"),
    ("1000 instances by capacity", "requests/wanted_sets.py", "if self.capacity > most:", "if self.capacity > 9 * most:"),
    ("1000 instances by VM", "requests/vm_creation.py", "+ 1 > most:", "+ 1 > 9 * most:"),
    ("profile feature", "requests/wanted_sets.py", "if rules.FLEX not in self.features:", "if False:"),
    ("orchestrator features", "requests/wanted_sets.py", "if not registered and not single:", "if False:"),
    ("single placement group", "requests/wanted_sets.py", "if single and (registered or", "if False and (registered or"),
    ("public address feature", "requests/rules.py", "if has_public_ip(body) and PUBLIC_IP not in", "if False and PUBLIC_IP not in"),
    ("set with members", "requests/scale_sets.py", "    if membership.total:\n", "    if membership.total > 99:\n"),
    ("mode is fixed", "requests/wanted_sets.py", 'for name in ("orchestrationMode", "platformFaultDomainCount"):', "for name in ():"),
    ("membership is fixed", "requests/vm_update.py", "if wanted != current:", "if False:"),
    ("upgrade policy", "requests/wanted_sets.py", '(policy.get("mode") or "Manual").lower() != "manual"', "False"),
    ("overprovisioning", "requests/wanted_sets.py", "if properties.get(flag):", "if False:"),
    ("accelerated networking", "requests/rules.py", 'if recorder.preview and get_path(nic, "properties", "enableAcceleratedNetworking"):', "if False:"),
    ("health probe", "requests/rules.py", 'if recorder.preview and get_path(body, "networkProfile", "healthProbe"):', "if False:"),
    ("NAT pools", "requests/rules.py", 'if get_path(ip, "properties", "loadBalancerInboundNatPools"):', "if False:"),
    ("Basic load balancer", "requests/rules.py", '"Basic").lower() == "basic")', '"Basic").lower() == "none")'),
    ("unmanaged disks", "requests/rules.py", "            if disk.get(unmanaged):\n", "            if False:\n"),
    ("write accelerator", "requests/rules.py", 'if recorder.preview and disk.get("writeAcceleratorEnabled"):', "if False:"),
    ("specialty sizes", "requests/rules.py", "if in_set and not size.memory_preserving and", "if False and"),
    ("zones", "requests/wanted_sets.py", "if len(self.zones) > 1 and self.recorder.preview:", "if False:"),
    ("quota", "requests/rules.py", "if additional > 0 and usage + additional > limit:", "if False:"),
    ("restricted size", "requests/rules.py", 'if fault_hitting(recorder, "sku_restricted"', 'if fault_hitting(recorder, "sku_unknown"'),
    ("another operation in progress", "requests/named_vm.py", "    if vm.step:\n", "    if False:\n"),
    ("marked for deletion", "requests/named_vm.py", "    if vm.provisioning == Provisioning.DELETING:\n        raise", "    if False:\n        raise"),
    ("deallocated restart", "requests/power.py", "    if vm.power in _DEALLOCATED:\n        raise errors.vm_operation_not_allowed(name", "    if False:\n        raise errors.vm_operation_not_allowed(name"),
    ("entity tags", "requests/call.py", "if wanted and (state is None", "if False and (state is None"),
    ("locks", "requests/call.py", "    for lock in locks_on(group, resource_id):\n", "    for lock in ():\n"),
    ("locks of one scope", "locks.py", "if path.startswith(dict(lock.tags)", "if True or (dict(lock.tags)"),
    ("an address and its interface", "requests/resources.py", "    if new.public_ip == before:\n", "    if True:\n"),
    ("Spot start below the price", "requests/power.py", "if facts.is_spot and 0 < facts.max_price <", "if facts.is_spot and 9e9 < facts.max_price <"),
    ("disks of the evicted", "attachments.py", "if disk_part.deleted or with_disks:", "if disk_part.deleted:"),
    ("profiles of a new VM", "requests/vm_creation.py", "            if properties.get(name) is None:\n", "            if False:\n"),
    ("interfaces that exist", "requests/vm_creation.py", "if simulated and (other is None or", "if False and (other is None or"),
    ("data disks of a size", "requests/vm_update.py", "or []) > size.data_disks:", "or []) > 99 * size.data_disks:"),
    ("disks to be detached", "requests/vm_update.py", 'if not disk.get("toBeDetached")]', "]"),
    ("ephemeral disks", "requests/power.py", "if recorder.fleet.facts(vm.model).ephemeral:", "if False:"),
    ("one extension of a handler", "requests/rules.py", "if handler.lower() in handlers:", "if False:"),
    ("tags in number", "requests/call.py", "if len(tags) > _MOST_TAGS:", "if False:"),
    ("read-only locks", "requests/call.py", '["level"] == "ReadOnly":', '["level"] == "":'),
    ("pre-emption", "controllers/scale_set.py", "recorder.end_operation(group, scale_set.operation, PREEMPTED)", "recorder.end_operation(group, scale_set.operation)"),
    ("scale-in", "controllers/scale_set.py", "if live > scale_set.capacity:", "if False:"),
    ("capacity follows a deleted VM", "controllers/scale_set.py", "capacity=max(0, scale_set.capacity - 1)", "capacity=scale_set.capacity"),
    ("locked instances", "controllers/scale_set.py", "for lock in locks_on(group, group.scope(Type.VM) + vm_name)", "for lock in ()"),
    ("set fails with its instances", "controllers/scale_set.py", "state = Provisioning.FAILED if scale_set.failure else", "state = Provisioning.SUCCEEDED if scale_set.failure else"),
    ("allocation failure", "controllers/vm.py", 'fault_hitting(recorder, "allocation"', 'fault_hitting(recorder, "none"'),
    ("OS provisioning failure", "controllers/vm.py", 'fault_hitting(recorder, "os_provisioning"', 'fault_hitting(recorder, "none"'),
    ("extension failure", "controllers/vm.py", 'fault_hitting(recorder, "extension"', 'fault_hitting(recorder, "none"'),
    ("terminate notice", "instances.py", "if notice and ran and not quick:", "if False:"),
    ("notices are one group", "controllers/notices.py", "(open_from is None or vm.due < open_from)", "True"),
    ("eviction policy", "controllers/vm.py", '.eviction == "Delete":', '.eviction == "None":'),
    ("Spot price", "controllers/spot.py", ".max_price < now:", ".max_price < 0:"),
    ("delete option", "attachments.py", "        if disk_part.deleted or with_disks:\n", "        if not disk_part.deleted:\n"),
    ("reserved disks", "attachments.py", 'state = "Reserved" if deallocated else "Attached"', 'state = "Attached"'),
    ("repair grace", "controllers/repair.py", "if vm.settled + grace <= recorder.now:", "if True:"),
    ("repair batch", "controllers/repair.py", "return max(1, instances * 5 // 100)", "return instances"),
    ("repair suspension", "controllers/repair.py", "if scale_set.repair_rounds >= ROUNDS:", "if False:"),
    ("probes needed", "vm_profiles.py", '* int(settings.get("numberOfProbes") or 1)', "* 1"),
    ("rich states", "vm_profiles.py", '.startswith("2")', '.startswith("9")'),
    ("maintenance waits", "controllers/maintenance.py", "if any(vm.step in (Step.FREEZE, Step.REBOOT) or", "if any("),
    ("maintenance stops", "controllers/maintenance.py", "if fault.stage and any(vm.health in", "if False and any(vm.health in"),
    ("autoscale limits", "controllers/autoscale.py", "if count < low or count > high:", "if False:"),
    ("autoscale cooldown", "controllers/autoscale.py", "if recorder.now < setting.blocked:", "if False:"),
    ("autoscale: all must want to scale in", "controllers/autoscale.py", "not all(_fires(rule", "not any(_fires(rule"),
    ("autoscale: the largest wins", "controllers/autoscale.py", "rule = max(fired, key", "rule = min(fired, key"),
    ("autoscale flapping", "controllers/autoscale.py", "guarded = scale_in_target(wanted, count, out_rules)", "guarded = wanted"),
    ("autoscale schedule", "controllers/autoscale.py", "    if begun:\n", "    if False:\n"),
    ("registration takes time", "controllers/features.py", '_FEATURE_SECONDS = (60.0, 300.0, 900.0)', '_FEATURE_SECONDS = (60.0, 300.0, 1900.0)'),
    ("propagation", "controllers/features.py", "effective = registered(subscription)", "effective = provider.effective"),
    ("nothing is answered before the commit", "control_plane.py", "            if commit:\n                self.commit()\n", ""),
    ("whole transactions", "log.py", 'self._db.execute("BEGIN IMMEDIATE")\n            if fresh', "if fresh"),
    ("synchronous", "log.py", 'self._db.execute("PRAGMA synchronous=FULL" if', 'self._db.execute("PRAGMA synchronous=OFF" if'),
    ("state is taken back", "control_plane.py", "                recorder.roll_back()\n                self._set_now", "                self._set_now"),
    ("timers after a restart", "control_plane.py", "            self._set_now(now)\n            self.recorder.rearm()", "            self._set_now(now)"),
    ("instance protection", "controllers/scale_set.py", "return is_protected(scale_set, vm) or lock_on", "return lock_on"),
    ("protected from repair", "controllers/repair.py", "sets.is_protected(scale_set, vm) or", "False or"),
    ("priority mix grows", "controllers/scale_set.py", "model = scale_set.regular if number < regular else", "model = scale_set.regular if number < 0 else"),
    ("priority mix shrinks", "controllers/scale_set.py", "    if not scale_set.regular:\n        return _victims", "    if True:\n        return _victims"),
    ("Spot restore", "controllers/spot.py", '    if not policy.get("enabled"):\n', "    if True:\n"),
    ("Spot restore ends", "controllers/spot.py", "or vm.step or until < recorder.now:", "or vm.step:"),
    ("Spot restore needs room", "controllers/spot.py", "            if _has_room(recorder, vm):\n", "            if True:\n"),
    ("Service Fabric at creation", "requests/rules.py", "if is_service_fabric(properties) and not had:", "if False:"),
    ("200 in a single placement group", "placement.py", "return MAX_IN_ONE_GROUP if single_group else", "return MAX_INSTANCES if single_group else"),
    ("no domain in a single placement group", "requests/vm_creation.py", "if domain is not None and self._in_one_group(scale_set):", "if False:"),
    ("a set goes after its members", "controllers/scale_set.py", "if recorder.fleet.membership(group, scale_set.name).total:", "if False:"),
    ("members by api-version", "requests/schema.py", " or (member.added_after and member.added_after >= self._version):", ":"),
    ("words by api-version", "requests/schema.py", "if added_after and added_after >= self._version:", "if added_after == NEWEST:"),
    ("words in Azure's spelling", "requests/schema.py", "        return word\n", "        return text\n"),
    ("unknown words", "requests/schema.py", '.get(text.lower(), ("", NEWEST))', '.get(text.lower(), (text, ""))'),
    ("required members", "requests/schema.py", "if self._complete and shape.required:", "if False:"),
    ("numbers within their bits", "requests/schema.py", "if not -(2**bits) <= value < 2**bits:", "if False:"),
    ("nothing null in lists", "requests/schema.py", "        if None in value:\n", "        if False:\n"),
    ("throttling", "throttling.py", "if bucket.left < 1), None)", "if bucket.left < -9e9), None)"),
    ("tokens come back", "throttling.py", "self.left + (now - self.since) * self.refill / self.every", "self.left"),
    ("a list as it was", "paging.py", "        if kept is not None:\n", "        if False:\n"),
    ("a saved state's digest", "saved_state.py", "if _digest(data) != head[8:]:", "if False:"),
    ("a saved state's log", "saved_state.py", "or _digest(encoded(found[0])) != event:", "or False:"),
    ("a repeated beginning is the same", "log.py", "if encoded(old) != encoded(new):", "if False:"),
    ("power that is changing", "requests/named_vm.py", "if vm.step in _CHANGES_POWER_TO and", "if False and"),
    ("keyed streams", "chance.py", '"uid", resource_id.lower(), time', '"uid", "x", time'),
]  # fmt: skip


CHOSEN = EDITS if os.environ.get("KQLITE_CAMPAIGN") == "full" else EDITS[:: len(EDITS) // 2 + 1]


def failures(directory: Path) -> list[str]:
    """The tests that fail in a copy of the project."""
    tests = [f"tests/{name}" for name in TESTS]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not campaign",
        "--tb=no",
        "-rf",
        "--maxfail=6",
        *tests,
    ]
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=900, env={**os.environ, "PYTHONPATH": str(directory)}
    )
    return re.findall(r"^(?:FAILED|ERROR) tests/(\S+)", done.stdout, re.MULTILINE)


def test_every_edit_finds_its_place() -> None:
    for name, file, old, _ in EDITS:
        text = (ROOT / "kqlite" / "orchestration" / file).read_text()
        assert old in text, f"{name}: {file} no longer reads {old!r}"


@pytest.mark.campaign
@pytest.mark.parametrize(("name", "file", "old", "new"), CHOSEN, ids=[edit[0] for edit in CHOSEN])
def test_a_rule_that_is_switched_off_is_noticed(name: str, file: str, old: str, new: str, tmp_path: Path) -> None:
    for folder in ("kqlite", "grammar", "sample-data"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests").mkdir()
    for folder in ("scenarios", "support"):
        shutil.copytree(ROOT / "tests" / folder, tmp_path / "tests" / folder)
    for test in TESTS:
        shutil.copy(ROOT / "tests" / test, tmp_path / "tests" / test)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    target = tmp_path / "kqlite" / "orchestration" / file
    target.write_text(target.read_text().replace(old, new))
    found = failures(tmp_path)
    print(f"\n{name}: {len(found)} fail, at most 6 are waited for: {', '.join(sorted(found))}")
    assert found, f"nobody noticed: {name}"
