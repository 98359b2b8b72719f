-- Take a shard's lease if nobody holds it.
-- KEYS: lease, fence    ARGV: owner, ttl ms
-- Answers the fencing token, and what stood in the fence if that was no token; or nothing.
-- Tokens grow with the clock too: a server that lost its last second to a power failure must not give the same token
-- out twice.
-- A lease that was written before the clock was set back would outlive its owner by as much: none lasts longer than
-- from now on.
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2], 'LT')
  return false
end
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local fence, junk = redis.call('GET', KEYS[2]) or '0', ''
if not string.match(fence, '^%d+$') or #fence > 15 then fence, junk = '0', '"' .. string.sub(fence, 1, 80) .. '"' end
local token = string.format('%.0f', math.max(tonumber(fence) + 1, now_ms))
redis.call('SET', KEYS[2], token)
redis.call('SET', KEYS[1], token .. ' ' .. ARGV[1], 'PX', ARGV[2])
return {token, junk}
