"""Faults of the camera's program, the autoscaler, and what all programs share."""

from __future__ import annotations

from benchmarks.mutants.mutant import Mutant

_SPOOL = "edge_client/spool"
_U = "tests/unit"

SPOOL = (
    Mutant(
        "a record's CRC is not checked",
        f"{_SPOOL}/record.py",
        "if zlib.crc32(data[_CRC_FROM:]) != crc:",
        "if crc < 0:",
        f"{_U}/edge/test_edge_spool_record.py::test_a_record_with_any_byte_changed_is_none",
    ),
    Mutant(
        "what was torn off is left in the file",
        f"{_SPOOL}/segment.py",
        "            os.ftruncate(self._file, self.segment.size)\n",
        "            pass\n",
        f"{_U}/edge/test_edge_spool_disk.py::test_a_disk_that_fills_up_inside_a_frame_leaves_none_of_it",
    ),
    Mutant(
        "behind a lost frame P frames go on",
        f"{_SPOOL}/spool.py",
        "self._chain_whole = follows or not outgoing.depends",
        "self._chain_whole = True",
        f"{_U}/edge/test_edge_spool_disk.py::test_behind_a_damaged_frame_only_a_key_frame_goes_on",
    ),
    Mutant(
        "a full spool takes more in",
        f"{_SPOOL}/spool.py",
        "if self.size_bytes + len(record) > self._limit_bytes:",
        "if self._limit_bytes < 0:",
        f"{_U}/edge/test_edge_spool.py::test_oldest_takes_nothing_in_when_it_is_full",
    ),
    Mutant(
        "frames of a spool are sent again after they were acknowledged",
        f"{_SPOOL}/spool.py",
        "        self._confirmed = max(self._confirmed, upto)\n",
        "        pass\n",
        f"{_U}/edge/test_edge_spool.py::test_the_next_run_goes_on_behind_what_was_acknowledged",
    ),
    Mutant(
        "a packet that Redis never takes comes back for ever",
        "edge_client/transport/uplink.py",
        "return self._tried_alone >= _TRIES_ALONE",
        "return False",
        "tests/integration/edge/test_edge_uplink.py"
        "::test_a_packet_that_redis_never_takes_is_given_up_by_name_and_those_behind_it_arrive",
    ),
    Mutant(
        "P frames behind one that was given up are sent",
        "edge_client/transport/spooled_outbox.py",
        "self._orphaned = not self._waiting and self._spool.unread > 0",
        "self._orphaned = False",
        f"{_U}/edge/test_edge_outbox_spooled.py::test_a_packet_that_is_never_taken_does_not_block_the_spool",
    ),
)

AUTOSCALE = (
    Mutant(
        "servers go without hysteresis",
        "orchestrator/scaling/server_rule.py",
        "spare = servers_for(scene.offered, rate, aim - settings.hysteresis)",
        "spare = servers_for(scene.offered, rate, aim)",
        f"{_U}/scaling/test_policy_servers.py::test_nothing_changes_while_the_load_is_between_target_and_hysteresis",
    ),
    Mutant(
        "an instance is added for any gain",
        "orchestrator/scaling/instance_rule.py",
        "        if brings < settings.min_gain:\n",
        "        if brings < -1.0:\n",
        f"{_U}/scaling/test_policy_instances.py::test_under_ten_per_cent_it_stops_and_servers_come",
    ),
    Mutant(
        "any number of servers starts at once",
        "orchestrator/scaling/server_rule.py",
        "return (most, [Reason.SURGE_LIMIT]) if wanted > most else (wanted, [])",
        "return wanted, []",
        f"{_U}/scaling/test_policy_servers.py::test_only_so_many_start_at_once",
    ),
    Mutant(
        "slots are no limit",
        "orchestrator/scaling/policy.py",
        "    if slots is not None and number > slots:\n",
        "    if slots is not None and number > 1000 * slots:\n",
        f"{_U}/scaling/test_policy_properties.py::test_it_stays_within_bounds_and_slots",
    ),
    Mutant(
        "the last server goes before the idle time is over",
        "orchestrator/scaling/server_rule.py",
        "scene.now_s - idle_s < settings.idle_s",
        "scene.now_s - idle_s < 0",
        f"{_U}/scaling/test_policy_servers.py::test_to_zero_after_the_idle_time_and_back_at_the_first_frame",
    ),
    Mutant(
        "a saturated dispatcher is taken for decoder load",
        "orchestrator/scaling/server_rule.py",
        "if scene.signals.dispatcher_saturation >= settings.saturated and load < scene.aim:",
        "if scene.signals.dispatcher_saturation > 9:",
        f"{_U}/scaling/test_policy_servers.py::test_a_saturated_dispatcher_is_not_taken_for_decoder_load",
    ),
    Mutant(
        "a change that ends late records a newer number",
        "orchestrator/scaling/actuation.py",
        "self._steering.took(instances=target)",
        "self._steering.took(instances=self._steering.state.instances.target)",
        f"{_U}/scaling/test_scale_actuation.py"
        "::test_a_change_of_instances_that_ends_after_a_newer_decision_records_what_was_taken",
    ),
)

SHARED = (
    Mutant(
        "a demoted server is waited for",
        "narrows/runtime/redis/replies.py",
        '"READONLY": Remedy.RECONNECT,',
        '"READONLY": Remedy.WAIT,',
        "tests/integration/dispatch/test_dispatch_failover.py::test_a_pool_leaves_a_demoted_server_at_its_first_refusal",
    ),
    Mutant(
        "an unforeseen error is not counted",
        "narrows/runtime/loop_guard.py",
        "        self._count(name)\n",
        "",
        f"{_U}/loop_guard/test_loop_guard.py::test_a_loop_begins_anew_and_is_counted_each_time",
    ),
    Mutant(
        "two cameras of one disk image share epochs",
        "edge_client/state.py",
        "high << _RANDOM_BITS | self._random_bits(_RANDOM_BITS)",
        "high << _RANDOM_BITS",
        f"{_U}/edge/test_edge_state.py::test_two_cameras_of_one_disk_image_and_one_key_share_no_epoch",
    ),
)

PROGRAMS = (*SPOOL, *AUTOSCALE, *SHARED)
