#!lua flags=no-writes
-- How streams of one shard stand. KEYS: in and ledger of each, in turn
-- A key of another type counts as absent: its neighbours are shown.
-- Answers JSON: for each {waiting, last entry's id, entries ever added, mask, skipped, refused, lost, outside}
local answer = {}
for i = 1, #KEYS, 2 do
  local stream = {0, '', 0}
  if redis.call('TYPE', KEYS[i]).ok == 'stream' then
    local flat, info = redis.call('XINFO', 'STREAM', KEYS[i]), {}
    for j = 1, #flat, 2 do info[flat[j]] = flat[j + 1] end
    stream = {info['length'], info['last-generated-id'], info['entries-added']}
  end
  local counted = redis.call('TYPE', KEYS[i + 1]).ok == 'hash'
  local ended = counted and redis.call('HMGET', KEYS[i + 1], 'mask', 'skipped', 'refused', 'lost', 'outside') or {}
  for j = 1, 5 do stream[j + 3] = tonumber(ended[j] or 0) end
  answer[#answer + 1] = stream
end
return cjson.encode(answer)
