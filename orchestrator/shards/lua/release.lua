-- Give a lease back.
-- KEYS: lease    ARGV: token, owner
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. ' ' .. ARGV[2] then return 0 end
return redis.call('DEL', KEYS[1])
