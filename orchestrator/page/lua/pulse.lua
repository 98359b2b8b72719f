#!lua flags=no-writes
-- How streams of one shard stand. KEYS: in and ledger of each, in turn
-- A key of another type counts as absent: its neighbours are shown.
-- Answers JSON: for each {waiting, last entry's id, entries ever added, mask, skipped, refused, lost, outside}
local answer = {}
for i = 1, #KEYS, 2 do
  local stream = {0, '', 0}
  if redis.call('TYPE', KEYS[i]).ok == 'stream' then
    local length = redis.call('XLEN', KEYS[i])
    -- XINFO STREAM answers with two whole entries: of a stream that holds much, ask the group instead
    local large = length > 0 and redis.call('MEMORY', 'USAGE', KEYS[i], 'SAMPLES', 0) > 1048576
    local flat = large and (redis.call('XINFO', 'GROUPS', KEYS[i])[1] or {}) or redis.call('XINFO', 'STREAM', KEYS[i])
    local info = {}
    for j = 1, #flat, 2 do info[flat[j]] = flat[j + 1] end
    local last = info['last-generated-id'] or info['last-delivered-id'] or ''
    stream = {length, last, info['entries-added'] or info['entries-read'] or 0}
  end
  local counted = redis.call('TYPE', KEYS[i + 1]).ok == 'hash'
  local ended = counted and redis.call('HMGET', KEYS[i + 1], 'mask', 'skipped', 'refused', 'lost', 'outside') or {}
  for j = 1, 5 do stream[j + 3] = tonumber(string.match(ended[j] or '', '^%d+$') or 0) end
  answer[#answer + 1] = stream
end
return cjson.encode(answer)
