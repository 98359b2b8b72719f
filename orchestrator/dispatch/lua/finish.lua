-- End frames of one shard, in this order, each once: window, outcome, ledger, dead letter, acknowledgement, deletion.
-- KEYS: for each frame: fence, in, out, seen, ledger, dead, chain, contexts; the first and `dead` are the same for all
-- ARGV: 1 token, 2 group, 3 out length, 4 out ttl ms, 5 dead length, 6 most packets of a chain, 7 most bytes of one,
--       8 most contexts, 9 most bytes of an out, about; then for each frame:
--       1 entry, 2 kind, 3 body, 4 reason, 5 epoch ('' outside any sequence), 6 sequence, 7 stream, 8 detail, 9 head, 10 size,
--       11 deliveries, 12 place in the chain: key | next | '' (not kept), 13 the context that its packet carried ('': none),
--       14 how many arguments follow of this frame: names and values of its outcome's further fields, one after the other
-- Answers for each frame {finished | duplicate | again | fenced | jump | stale, lost}, or the error that ended it alone.
-- What can fail is looked at before a frame's first change, and its entry is deleted last.
local KEYS_EACH, ARGS_ALL, ARGS_EACH = 8, 9, 14

-- Keep what later frames are coded against, as it came: whoever takes over decodes it again. A chain that grows too long,
-- or has too large a packet in it, is of no use from there on.
local function keep(features, chain, id, link)
  local entry, packet = redis.call('XRANGE', features, id, id)[1], nil
  for i = 1, entry and #entry[2] or 0, 2 do
    if entry[2][i] == 'p' then packet = entry[2][i + 1] break end
  end
  if link == 'key' then redis.call('DEL', chain) end
  if not packet or #packet > tonumber(ARGV[7]) then
    redis.call('DEL', chain)
  elseif redis.call(link == 'key' and 'RPUSH' or 'RPUSHX', chain, packet) > tonumber(ARGV[6]) then
    redis.call('DEL', chain)
  end
  redis.call('PEXPIRE', chain, ARGV[4])
end

-- Publish an outcome. As many are kept as of its size have room, so that large ones are fewer: the newest in any case.
local function publish(outcomes, kind, body, further)
  local size, most, how = #body, tonumber(ARGV[3]), '~'
  for _, each in ipairs(further) do size = size + #each end
  local fit = math.max(1, math.floor(tonumber(ARGV[9]) / math.max(1, size)))
  if fit < most then most, how = fit, '=' end
  redis.call('XADD', outcomes, 'MAXLEN', how, most, '*', 'k', kind, 'p', body, unpack(further))
  redis.call('PEXPIRE', outcomes, ARGV[4])
end

local function finish(k, a)
  local features, outcomes, seen, ledger, dead, chain, contexts = unpack(KEYS, k + 2, k + KEYS_EACH)
  local id, kind, body, reason, epoch, sequence, stream, detail, head, size, deliveries, link, context, more =
    unpack(ARGV, a + 1, a + ARGS_EACH)
  local outside = epoch == ''
  local ended, counted = outside and 'outside' or kind, kind .. ':' .. reason

  local function remove()
    return redis.call('XACK', features, ARGV[2], id) + redis.call('XDEL', features, id)
  end

  local uncountable = refuse_uncountable(ledger, {'lost', 'implausible', 'duplicate', ended, counted})
  if uncountable then return uncountable end
  local verdict, lost = 'placed', 0
  if not outside then
    verdict, lost = place(seen, epoch, tonumber(sequence))
    lost = count_lost(seen, ledger, lost)
    if verdict == 'jump' or verdict == 'stale' then return {verdict, lost} end
  end
  if verdict == 'duplicate' then
    if remove() == 0 then return {'again', 0} end
    redis.call('HINCRBY', ledger, 'duplicate', 1)
    return {'duplicate', 0}
  end
  if outside and remove() == 0 then return {'again', 0} end
  publish(outcomes, kind, body, {unpack(ARGV, a + ARGS_EACH + 1, a + ARGS_EACH + more)})
  redis.call('HINCRBY', ledger, ended, 1)
  if reason ~= '' then redis.call('HINCRBY', ledger, counted, 1) end
  if kind == 'refused' then
    redis.call('XADD', dead, 'MAXLEN', '~', ARGV[5], '*', 'stream', stream, 'reason', reason,
      'detail', detail, 'head', head, 'size', size, 'deliveries', deliveries, 'entry', id)
  end
  if link ~= '' then keep(features, chain, id, link) end
  if context ~= '' then
    redis.call('RPUSH', contexts, context)
    redis.call('LTRIM', contexts, -ARGV[8], -1)
    redis.call('PEXPIRE', contexts, ARGV[4])
  end
  if not outside then remove() end
  return {'finished', lost}
end

local fenced, answers, at = redis.call('GET', KEYS[1]) ~= ARGV[1], {}, ARGS_ALL
for i = 1, #KEYS / KEYS_EACH do
  if fenced then
    answers[i] = {'fenced', 0}
  else
    local well, answer = pcall(finish, (i - 1) * KEYS_EACH, at)
    answers[i] = (well or type(answer) == 'table') and answer or redis.error_reply('ERR ' .. answer)
    at = at + ARGS_EACH + ARGV[at + ARGS_EACH]
  end
end
return answers
