-- Say that a dispatcher lives; answers who else does.
-- KEYS: dispatchers    ARGV: owner, lifetime ms
-- What was said later than now was said before the clock was set back: who lives says it again at once.
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], string.format('(%.0f', now_ms), '+inf')
redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now_ms - tonumber(ARGV[2])))
return redis.call('ZRANGE', KEYS[1], 0, -1)
