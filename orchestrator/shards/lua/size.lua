-- How much memory a stream takes. Unlike any look at its entries this costs the same whatever one of them holds.
local function size_bytes(key)
  return redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) or 0
end

