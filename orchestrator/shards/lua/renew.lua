-- Keep a lease, also one that lapsed while nobody else took it.
-- KEYS: lease, fence    ARGV: token, owner, ttl ms
-- Answers 1 if it is held, else 0.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local value = ARGV[1] .. ' ' .. ARGV[2]
local held = redis.call('GET', KEYS[1])
if held and held ~= value then return 0 end
redis.call('SET', KEYS[1], value, 'PX', ARGV[3])
return 1
