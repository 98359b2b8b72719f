"""Faults of the dispatcher: how frames end, who owns them, what becomes of them in between."""

from __future__ import annotations

from benchmarks.mutants.mutant import Mutant

_DISPATCH, _LUA = "orchestrator/dispatch", "orchestrator/dispatch/lua"
_SHARDS_LUA = "orchestrator/shards/lua"
_INFERENCE = "orchestrator/inference"
_T = "tests/integration/dispatch/test_dispatch"
_UNIT = "tests/unit/dispatch/test_dispatch"
_UNARY, _HOSTILE = "tests/unit/inference/test_unary_call.py", "tests/unit/inference/test_unary_call_hostile.py"
_HERE = "if tonumber(sequence) % 500 ~= 499 then"
_PUBLISH = "publish(outcomes, kind, body, {unpack(ARGV, a + ARGS_EACH + 1, a + ARGS_EACH + more)})"
_WAITED_FOR = f"{_T}_frames.py::test_frames_behind_one_that_is_waited_for_wait_and_other_streams_do_not"
_ACCOUNTS = f"{_T}_frame_accounting.py::test_the_accounts_of_two_thousand_frames_and_an_epoch_change_hold_one_by_one"
_GAPS = f"{_T}_window.py::test_the_accounts_of_two_thousand_frames_with_gaps_and_epochs_are_those_of_the_model"

ENDINGS = (
    Mutant(
        "an ended frame is not acknowledged",
        f"{_LUA}/finish.lua",
        "redis.call('XACK', features, ARGV[2], id) + redis.call('XDEL'",
        "redis.call('XDEL'",
        f"{_T}_frame_accounting.py::test_outcomes_keep_the_order_of_their_entries_however_unevenly_batches_end",
    ),
    Mutant("one mask in 500 is not published", f"{_LUA}/finish.lua", _PUBLISH, f"{_HERE} {_PUBLISH} end", _ACCOUNTS),
    Mutant(
        "outcomes come in the order in which batches end",
        f"{_DISPATCH}/frame_path.py",
        "        frame.ending = ending\n        self._end_due(frame.stream)\n",
        "        self.finisher.finish(frame, ending, self._ended)\n",
        f"{_T}_frame_accounting.py::test_outcomes_keep_the_order_of_their_entries_however_unevenly_batches_end",
    ),
    Mutant(
        "losses at the window's edge are not counted",
        f"{_LUA}/window.lua",
        "if entering >= SPAN and not ended(window, entering - SPAN) then lost = lost + 1 end",
        "",
        _GAPS,
    ),
    Mutant(
        "losses in a leap over the window are not counted",
        f"{_LUA}/window.lua",
        "lost = count_open(window) + math.max(0, sequence - SPAN - window.high)",
        "lost = count_open(window)",
        _GAPS,
    ),
    Mutant(
        "losses of an epoch that leaves the window are not counted",
        f"{_LUA}/window.lua",
        "lost = count_open(load_window(key, evicted))",
        "lost = 0",
        _GAPS,
    ),
    Mutant(
        "a duplicate within the window is published again",
        f"{_LUA}/window.lua",
        "elseif sequence <= window.high - SPAN or ended(window, sequence) then",
        "elseif sequence <= window.high - SPAN then",
        f"{_T}_window.py::test_every_identity_ends_once_and_the_ledger_counts_each",
    ),
    Mutant(
        "losses in transit are closed and not counted",
        f"{_LUA}/close.lua",
        "closed = count_lost(KEYS[2], KEYS[3], closed)",
        "",
        f"{_T}_gaps.py::test_gaps_are_lost_after_their_time_and_what_comes_late_is_not",
    ),
    Mutant(
        "an owner that was replaced still ends frames",
        f"{_LUA}/finish.lua",
        "redis.call('GET', KEYS[1]) ~= ARGV[1], {}",
        "false, {}",
        f"{_T}_window.py::test_an_older_token_changes_nothing",
    ),
    Mutant(
        "scripts do not look at their keys' types first",
        "narrows/runtime/redis/script.py",
        'if self.types else ""',
        'if not self.types else ""',
        f"{_T}_scripts.py::test_a_key_of_a_wrong_type_is_named_and_nothing_is_changed",
    ),
    Mutant(
        "a ledger's field that counts nothing stops a script half way",
        f"{_LUA}/ledger.lua",
        "if value and (",
        "if false and (",
        f"{_T}_scripts.py::test_a_value_that_cannot_be_counted_is_named_and_nothing_is_changed",
    ),
    Mutant(
        "a batch that breaks the connection is not halved",
        f"{_DISPATCH}/finish.py",
        "        if len(batch) > 1:\n",
        "        if len(batch) > 1000:\n",
        f"{_T}_ending_limits.py::test_one_mask_over_the_limit_is_refused_by_name_in_its_place",
    ),
    Mutant(
        "a server that is away counts as one that refuses",
        f"{_DISPATCH}/finish.py",
        "                waits = not await self._store.answers(part[0].frame.stream.keys.features)\n",
        "                waits = False\n",
        f"{_T}_endings.py::test_a_server_that_is_away_is_waited_for_and_nothing_is_refused",
    ),
    Mutant(
        "a stream whose keys are amiss is read on",
        f"{_DISPATCH}/stream.py",
        "        self.rests_until_s = until_s\n",
        "        pass\n",
        f"{_T}_keys_amiss.py::test_a_stream_whose_keys_are_amiss_rests_between_tries",
    ),
)

OWNERS = (
    Mutant(
        "tokens do not grow with the clock",
        f"{_SHARDS_LUA}/acquire.lua",
        "math.max(tonumber(fence) + 1, now_ms)",
        "tonumber(fence) + 1",
        f"{_T}_ownership.py::test_tokens_grow_even_if_the_counter_was_lost",
    ),
    Mutant(
        "a lease is renewed although a newer one was given out",
        f"{_SHARDS_LUA}/renew.lua",
        "if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end\n",
        "",
        f"{_T}_ownership.py::test_a_lease_is_not_renewed_once_a_newer_token_was_given_out",
    ),
    Mutant(
        "a frame may be taken up for ever",
        f"{_DISPATCH}/frame_decoder.py",
        "if frame.deliveries > self._settings.deliveries:",
        "if frame.deliveries > 99:",
        f"{_T}_poison.py::test_an_entry_taken_up_three_times_without_an_end_is_poison_and_its_neighbours_are_not",
    ),
    Mutant(
        "a fence of any length is believed",
        f"{_SHARDS_LUA}/acquire.lua",
        "if not string.match(fence, '^%d+$') or #fence > 15 then",
        "if not string.match(fence, '^%d+$') then",
        f"{_T}_junk_records.py::test_a_fence_that_holds_no_token_is_replaced_and_named",
    ),
    Mutant(
        "a lease from before the clock was set back outlives its owner",
        f"{_SHARDS_LUA}/acquire.lua",
        "  redis.call('PEXPIRE', KEYS[1], ARGV[2], 'LT')\n",
        "",
        f"{_T}_set_back.py::test_the_leases_of_owners_that_died_while_the_clock_was_ahead_lapse_in_their_usual_time",
    ),
    Mutant(
        "a heartbeat from the future counts",
        f"{_LUA}/heartbeat.lua",
        "redis.call('ZREMRANGEBYSCORE', KEYS[1], string.format('(%.0f', now_ms), '+inf')\n",
        "",
        f"{_T}_set_back.py::test_a_heartbeat_from_the_future_counts_as_nobodys",
    ),
)

FRAMES = (
    Mutant(
        "symbols are not held against their digest",
        f"{_DISPATCH}/digests.py",
        "if not section.is_digest(digest):",
        "if digest == -1:",
        f"{_T}_bad_input.py::test_a_spoiled_frame_ends_by_name_and_its_neighbours_in_masks[digest mismatch]",
    ),
    Mutant(
        "any reference will do",
        f"{_DISPATCH}/reference_cache.py",
        "if not _may_follow(packet, plane.packet):",
        "if own < 0:",
        f"{_T}_bad_input.py::test_a_predicted_packet_against_another_reference_is_refused",
    ),
    Mutant(
        "the chain is not read again after a lost second",
        f"{_DISPATCH}/stream.py",
        "        self.chain_read = False  #",
        "        #",
        f"{_T}_rollback.py::test_predicted_frames_that_come_back_find_their_references_though_others_are_cached",
    ),
    Mutant(
        "a complete stream's late frames are skipped",
        f"{_DISPATCH}/admission.py",
        "settings.policy is Policy.REALTIME",
        "settings.policy is not None",
        f"{_T}_frames.py::test_a_complete_stream_is_never_skipped",
    ),
    Mutant(
        "a clock ahead is not counted",
        f"{_DISPATCH}/frame_decoder.py",
        "            self._metrics.clock_future.inc()\n",
        "            pass\n",
        f"{_T}_bad_input.py::test_a_clock_in_the_future_is_counted_and_its_frame_decoded",
    ),
    Mutant(
        "what is trimmed is not counted",
        f"{_LUA}/trim.lua",
        "if trimmed > 0 then redis.call('HINCRBY', KEYS[4], 'trimmed', trimmed) end",
        "",
        f"{_T}_sizes.py::test_a_flood_is_trimmed_to_the_cap_and_counted_to_the_entry",
    ),
    Mutant(
        "an entry of any size is looked at for the backlog's age",
        f"{_SHARDS_LUA}/backlog.lua",
        "elseif size <= tonumber(ARGV[2]) then",
        "else",
        f"{_T}_sizes.py::test_the_backlog_is_measured_without_looking_at_a_large_entry",
    ),
    Mutant(
        "an id that Redis did not give is believed",
        f"{_DISPATCH}/frame_decoder.py",
        "            raise EntryIdForged(taken.forged)\n",
        "            pass\n",
        f"{_T}_forged_ids.py::test_a_chosen_id_is_refused_by_name_and_counts_as_nothing_else",
    ),
)

CAMERAS_CLAIMS = (
    Mutant(
        "a leap of any length is counted as lost",
        f"{_LUA}/window.lua",
        "local lost = math.min(gaps, ",
        "local lost = math.max(gaps, ",
        f"{_T}_window.py::test_no_more_frames_are_called_lost_than_a_camera_can_have_filmed",
    ),
    Mutant(
        "one stream alone sets the age of the backlog",
        f"{_DISPATCH}/shared_age.py",
        "return min(heapq",
        "return max(heapq",
        "tests/unit/dispatch/test_shared_age.py::test_among_three_streams_none_sets_the_age_alone",
    ),
)
CONTEXTS = (
    Mutant(
        "a new owner does not read the contexts that were kept",
        f"{_DISPATCH}/contexts.py",
        "return context_id not in self._known and not self._read",
        "return False",
        f"{_T}_format_2.py::test_a_new_owner_reads_on_with_the_context_that_the_last_one_kept",
    ),
)

TAKING_UP = (
    Mutant(
        "nobody goes on with a stream behind a frame that was waited for",
        f"{_DISPATCH}/frame_path.py",
        "        await self._go_on([frame.stream])\n",
        "        pass\n",
        _WAITED_FOR,
    ),
    Mutant(
        "frames behind one that is waited for go on without it",
        f"{_DISPATCH}/frame_path.py",
        "            else:\n                free.append(frame.stream)\n",
        "            free.append(frame.stream)\n            if not isinstance(begun, _Apart):\n",
        _WAITED_FOR,
    ),
    Mutant(
        "two tasks take one stream up",
        f"{_DISPATCH}/stream.py",
        "free, self.decoding = not self.decoding, True",
        "free, self.decoding = True, True",
        f"{_UNIT}_ending_order.py::test_a_stream_is_taken_up_by_one_at_a_time_who_goes_on_with_what_comes_meanwhile",
    ),
    Mutant(
        "an error of a call of the kernel is told to none of its frames",
        f"{_DISPATCH}/frame_path.py",
        "            self._turn_away(latent.frame, error)\n",
        "            pass\n",
        f"{_T}_frames.py::test_an_error_of_a_call_of_the_kernel_costs_its_frames_a_delivery_and_nothing_else",
    ),
    Mutant(
        "an error that nobody foresaw in one frame ends those beside it",
        f"{_DISPATCH}/outermost.py",
        "        return True\n",
        "        return False\n",
        f"{_T}_frames.py::test_an_error_of_a_call_of_the_kernel_costs_its_frames_a_delivery_and_nothing_else",
    ),
    Mutant(
        "a slot of a batch is never given back",
        f"{_DISPATCH}/batch.py",
        "            decoder.give_back(slot)\n",
        "            pass\n",
        "tests/unit/dispatch/test_dispatch_batcher.py::test_every_slot_is_given_back_however_its_batch_ends",
    ),
    Mutant(
        "a call of the kernel takes as many planes as there are",
        f"{_DISPATCH}/symbol_decoding.py",
        "if call and symbols + size > _MOST_SYMBOLS:",
        "if call and symbols < 0:",
        "tests/unit/dispatch/test_symbol_decoding.py"
        "::test_every_plane_has_one_place_in_one_call_and_no_call_takes_more_than_is_small",
    ),
    Mutant(
        "the window is not read again before a frame counts as ended",
        f"{_DISPATCH}/frame_decoder.py",
        "        if not frame.window_read:\n",
        "        if frame.window_read:\n",
        f"{_T}_rollback.py::test_a_window_that_redis_lost_ends_no_frame_that_comes_again",
    ),
    Mutant(
        "the chain that an earlier owner left is not read",
        f"{_DISPATCH}/latents.py",
        "            raise Missing(partial(self._resume_chain, stream, bundle))\n",
        "            pass\n",
        f"{_T}_chain.py::test_the_next_owner_of_a_complete_stream_finds_its_references",
    ),
    Mutant(
        "a claimed entry counts as delivered once",
        f"{_DISPATCH}/claims.py",
        "yield each, entry.deliveries + 1",
        "yield each, 1",
        f"{_T}_poison.py::test_an_entry_taken_up_three_times_without_an_end_is_poison_and_its_neighbours_are_not",
    ),
    Mutant(
        "an entry too large to read isolates nobody",
        f"{_DISPATCH}/shard.py",
        "if entry.too_large or beyond_a_packet(entry):",
        "if beyond_a_packet(entry):",
        f"{_T}_sizes.py::test_entries_beside_one_too_large_are_claimed_one_by_one_and_none_is_lost",
    ),
    Mutant(
        "a stream stays isolated for ever",
        f"{_DISPATCH}/isolation.py",
        "return self._monotonic() > self._until_s[stream]",
        "return self._monotonic() > 1e6 + self._until_s[stream]",
        "tests/unit/dispatch/test_isolation.py::test_each_time_is_twice_as_long_as_the_one_before_up_to_a_bound",
    ),
    Mutant(
        "a stream that brought as much as one read may is not read next",
        f"{_DISPATCH}/shard.py",
        "        self._ready.add(*brought.behind)\n",
        "",
        f"{_T}_ready.py::test_what_a_read_had_no_place_for_is_read_next_though_nothing_more_is_written",
    ),
    Mutant(
        "when a stream was read to its end is not kept",
        f"{_DISPATCH}/arrivals.py",
        "        stream.drained_s, stream.drained_ms = seen_s, self._clock.at_ms(seen_s)\n",
        "        pass\n",
        "tests/unit/dispatch/test_arrivals.py"
        "::test_an_id_from_before_its_stream_was_read_to_its_end_is_forged_unless_it_was_delivered_before",
    ),
)
TRITON = (
    Mutant(
        "a server that is leaving is asked on the same connection",
        f"{_INFERENCE}/unary_connection.py",
        "            self._settle(stream, Unreadable(why))\n        self.leave()\n",
        "            self._settle(stream, Unreadable(why))\n",
        f"{_HOSTILE}::test_a_server_that_leaves_once_its_calls_are_under_way_costs_none_that_it_took",
    ),
    Mutant(
        "a call that failed by name is asked again",
        f"{_INFERENCE}/unary_connection.py",
        "    if int(status):\n",
        "    if int(status) < 0:\n",
        f"{_UNARY}::test_a_call_without_a_message_fails_with_its_status_or_is_unreadable",
    ),
    Mutant(
        "a call that is given up goes on at the server",
        f"{_INFERENCE}/unary_connection.py",
        "if self._calls.pop(stream, None) is not None:",
        "if self._calls.pop(stream, None) is None:",
        f"{_UNARY}::test_a_call_that_is_given_up_is_cancelled_at_the_server_and_others_go_on",
    ),
    Mutant(
        "a message that is not whole is taken",
        f"{_INFERENCE}/unary_connection.py",
        'if not call.heads or call.message[:_MESSAGE_HEAD] != b"\\0" + _U32.pack(len(found)):',
        "if not call.heads or not call.message:",
        f"{_UNARY}::test_a_message_that_is_compressed_or_not_whole_is_unreadable",
    ),
    Mutant(
        "a message counts although the call failed behind it",
        f"{_INFERENCE}/unary_connection.py",
        "    if int(status):\n",
        "    if int(status) and not call.message:\n",
        f"{_HOSTILE}::test_a_message_with_a_status_that_is_not_ok_is_no_answer",
    ),
    Mutant(
        "a connection that was left stays open where its last call is given up",
        f"{_INFERENCE}/unary_connection.py",
        "                self._cancel(stream)\n            self._close_if_done()\n",
        "                self._cancel(stream)\n",
        f"{_HOSTILE}::test_a_connection_that_was_left_ends_with_its_last_call_however_that_ends",
    ),
    Mutant(
        "a connection on which an answer is overdue is asked again",
        f"{_INFERENCE}/unary_connection.py",
        "        self._leaving = True\n        self._cancel(stream)\n",
        "        self._cancel(stream)\n",
        f"{_HOSTILE}::test_a_connection_on_which_a_call_was_not_answered_in_time_is_asked_no_more_and_loses_no_other",
    ),
    Mutant(
        "a window of the server's is not looked at",
        f"{_INFERENCE}/unary_connection.py",
        "room = min(self._window, self._stream_window)",
        "room = self._window",
        f"{_HOSTILE}::test_what_a_server_sets_while_calls_are_under_way_holds_from_then_on",
    ),
    Mutant(
        "frames are taken without end",
        f"{_INFERENCE}/http2_frames.py",
        "        if self._frames > _MOST_FRAMES:\n",
        "        if self._frames < 0:\n",
        f"{_HOSTILE}::test_a_breach_of_http2_ends_its_connection_by_name_and_the_next_call_works[a flood of pings]",
    ),
    Mutant(
        "a header block may go on in another call",
        f"{_INFERENCE}/http2_frames.py",
        " or (block is not None and stream != block.stream)",
        "",
        f"{_HOSTILE}::test_a_breach_of_http2_ends_its_connection_by_name_and_the_next_call_works"
        "[headers that another call goes on with]",
    ),
    Mutant(
        "all parts of a batch lie at the region's beginning",
        f"{_INFERENCE}/infer_message.py",
        "        if at:\n",
        "        if not at:\n",
        "tests/unit/inference/test_shared_slot.py::test_a_request_names_each_part_of_the_region_by_place_and_size",
    ),
)

DISPATCH = (*ENDINGS, *OWNERS, *FRAMES, *CAMERAS_CLAIMS, *CONTEXTS, *TAKING_UP, *TRITON)
