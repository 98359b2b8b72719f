-- Let empty streams begin again at the clock whose last id lies ahead of it: a camera chose that id, or the clock was set
-- back. Redis gives no id below a stream's last one, so without this none that it gives would say when an entry came;
-- and above the highest id there is it gives none at all.
-- KEYS: fence, feature streams    ARGV: token, group, ms that an id may be ahead
-- Answers how many were set back.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local count = 0
for i = 2, #KEYS do
  if redis.call('TYPE', KEYS[i]).ok == 'stream' and redis.call('XLEN', KEYS[i]) == 0 then
    local flat, stream = redis.call('XINFO', 'STREAM', KEYS[i]), {}
    for j = 1, #flat, 2 do stream[flat[j]] = flat[j + 1] end
    local last_ms = tonumber(string.match(stream['last-generated-id'], '^%d+'))
    if last_ms > now_ms + tonumber(ARGV[3]) then
      local id = string.format('%.0f-0', now_ms)
      redis.call('DEL', KEYS[i]) -- XSETID alone goes below no entry that there was
      redis.call('XGROUP', 'CREATE', KEYS[i], ARGV[2], id, 'MKSTREAM')
      redis.call('XSETID', KEYS[i], id, 'ENTRIESADDED', stream['entries-added'], 'MAXDELETEDID', '0-0')
      count = count + 1
    end
  end
end
return count
