/**
 * What happens inside Redis, atomically: one key per script, so that each works in a Cluster, but for one. Read layout.ts
 * first.
 * `#!lua` makes Redis refuse a script as a whole, before its first write, when it is out of memory, a replica, or cannot
 * save; those marked allow-oom give memory back. Times are Gatehouse's, in ms; each script is idempotent for its `write`
 * or `nonce`.
 */
import { Cluster, type Redis, type Result } from 'ioredis'

export type Client = Redis | Cluster

/** The servers that take writes. */
export const mastersOf = (client: Client): Redis[] => (client instanceof Cluster ? client.nodes('master') : [client])

/** What `gatehousePut` answers first. */
export const STORED = 1
export const STALE = 2
export const REVOKED = 3
/** A row with another descriptor stands there: its index entries must be made sure of before it is written. */
export const STANDS = 4

/** What `gatehouseRedeem` answers. */
export const redeemed = ['absent', 'won', 'lost'] as const

/** `standing(stones, grant, now)`: gravestones that stand, those of the grant left out, and whether one of its was there. */
const gravestones = `
    local function standing(stones, grant, now)
      local others, its, at = '', false, 1
      while at <= #stones do
        local colon = stones:find(':', at, true)
        local last = colon + 1 + stones:byte(colon + 1)
        if tonumber(stones:sub(at, colon - 1)) > now then
          if stones:sub(colon + 2, last) == grant then its = true else others = others .. stones:sub(at, last) end
        end
        at = last + 1
      end
      return others, its
    end`

/** `put(key)`, with the arguments of gatehousePut: few of them, since each costs the sender as much as a short command. */
const putting = `${gravestones}
    local function put(key)
      local now, write, descriptor = tonumber(ARGV[1]), ARGV[4]:sub(1, 8), ARGV[4]:sub(9)
      local ends, ttl, fresh, wanted, gently, consumed = ARGV[2]:match('^([^:]*):([^:]*):(%d+):(%d*):(1?):(.*)$')
      local row = redis.call('HMGET', key, 'm', 'c', 'x')
      if row[3] then
        local others, its = standing(row[3], descriptor:sub(2, descriptor:byte(1)), now)
        if its then return { 3, '' } end
        if others == '' then redis.call('HDEL', key, 'x') end
      end
      local revision, order, former = 0, fresh, ''
      if row[1] then
        local counted, expires, placed, rest = row[1]:match('^(%d+):(%d*):(%d+):(.*)$')
        if expires == '' or tonumber(expires) > now then
          revision, order, former = tonumber(counted), placed, rest
        end
      end
      if former:sub(1, 8) == write then return { 1, '' } end
      if wanted ~= '' and tonumber(wanted) ~= revision then return { 2, '' } end
      if gently == '1' and former ~= '' and former:sub(9) ~= descriptor then return { 4, '' } end
      local meta = string.format('%d:%s:%s:', revision + 1, ends, order) .. ARGV[4]
      redis.call('HSET', key, 'p', ARGV[3], 'm', meta)
      if former == '' or not row[2] then
        if consumed ~= '' then redis.call('HSET', key, 'c', consumed)
        elseif row[2] then redis.call('HDEL', key, 'c') end
      end
      if ttl ~= '' then redis.call('PEXPIRE', key, ttl)
      elseif row[1] or row[3] then redis.call('PERSIST', key) end
      return { 1, former }
    end`

/** `revoked(index)`: whether a grant's tombstone stands there at ARGV[1]; `enlist(index, entry, how)`. */
const enlisting = `
    local function revoked(index)
      local tombstone = redis.call('ZSCORE', index, '')
      return tombstone and tonumber(tombstone) > tonumber(ARGV[1])
    end
    local function enlist(index, entry, how)
      local score, ttl, prune = how:match('^([^:]*):([^:]*):(1?)$')
      if prune == '1' then
        local dead = redis.call('ZRANGEBYSCORE', index, '-inf', ARGV[1], 'LIMIT', 0, 100)
        if #dead > 0 then redis.call('ZREM', index, unpack(dead)) end
      end
      local left = redis.call('PTTL', index)
      redis.call('ZADD', index, score, entry)
      if ttl == '' then
        if left >= 0 then redis.call('PERSIST', index) end
      elseif left == -2 or (left >= 0 and left < tonumber(ttl)) then redis.call('PEXPIRE', index, ttl) end
    end`

const lua = (text: string) => ({ numberOfKeys: 1, lua: `#!lua\n${text}` })
/** Each call says how many keys it has. */
const withKeys = (text: string) => ({ lua: `#!lua\n${text}` })
const freeing = (text: string) => ({ numberOfKeys: 1, lua: `#!lua flags=allow-oom\n${text}` })

const definitions = {
  /**
   * 1 now, 2 "<expiry>:<ttl>:<order>:<revision>:<1: stop if a row with another descriptor stands>:<consumed>", of which
   * all but the order may be nothing, 3 body, 4 write and descriptor. Answers { code, former write and descriptor }.
   */
  gatehousePut: lua(`${putting}
    return put(KEYS[1])`),

  /**
   * A put with its entries in indexes, the further keys: not in a Cluster. As gatehousePut; then 2 and 3 of gatehouseEnlist
   * for each.
   */
  gatehousePutListed: withKeys(
    `${putting}${enlisting}
    for i = 2, #KEYS do
      if revoked(KEYS[i]) then return { 3, '' } end
    end
    local answer = put(KEYS[1])
    if answer[1] == 1 then
      for i = 2, #KEYS do enlist(KEYS[i], ARGV[2 * i + 1], ARGV[2 * i + 2]) end
    end
    return answer`,
  ),

  /** 1 now, 2 nonce, 3 at. Answers an index of \`redeemed\`. */
  gatehouseRedeem: lua(`
    local key, now = KEYS[1], tonumber(ARGV[1])
    local row = redis.call('HMGET', key, 'm', 'c')
    if not row[1] then return 0 end
    local counted, expires, rest = row[1]:match('^(%d+):(%d*)(:.*)$')
    if expires ~= '' and tonumber(expires) <= now then return 0 end
    if row[2] then
      if row[2]:match('^%d*:(.*)$') == ARGV[2] then return 1 else return 2 end
    end
    local meta = string.format('%d:', tonumber(counted) + 1) .. expires .. rest
    redis.call('HSET', key, 'c', ARGV[3] .. ':' .. ARGV[2], 'm', meta)
    return 1`),

  /** 1 write or '': only a row of that write, 2 ttl of gravestones. Answers the former write and descriptor, or nothing. */
  gatehouseDrop: freeing(`
    local row = redis.call('HMGET', KEYS[1], 'm', 'x')
    if not row[1] then return '' end
    local former = row[1]:match('^%d+:%d*:%d+:(.*)$')
    if ARGV[1] ~= '' and former:sub(1, 8) ~= ARGV[1] then return '' end
    if not row[2] then redis.call('DEL', KEYS[1]) return former end
    redis.call('HDEL', KEYS[1], 'p', 'm', 'c')
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return former`),

  /**
   * Takes a dropped grant's row away and leaves a gravestone, on which a put of that grant still under way fails. One
   * for each grant: a row may be put under several at once.
   * 1 now, 2 grant, 3 end of the gravestone, 4 ttl. Answers { 1: it was live, former write and descriptor }.
   */
  gatehouseBuryRow: freeing(`${gravestones}
    local key, now, ttl = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[4])
    local row = redis.call('HMGET', key, 'm', 'x')
    local stones = standing(row[2] or '', ARGV[2], now) .. ARGV[3] .. ':' .. string.char(#ARGV[2]) .. ARGV[2]
    local live, former = 0, ''
    if row[1] then
      local expires, rest = row[1]:match('^%d+:(%d*):%d+:(.*)$')
      local size = rest:byte(9)
      if size == 0 or rest:sub(10, 8 + size) ~= ARGV[2] then
        redis.call('HSET', key, 'x', stones)
        local left = redis.call('PTTL', key)
        if left >= 0 and left < ttl then redis.call('PEXPIRE', key, ttl) end
        return { 0, '' }
      end
      if expires == '' or tonumber(expires) > now then live = 1 end
      former = rest
    end
    redis.call('HDEL', key, 'p', 'm', 'c')
    redis.call('HSET', key, 'x', stones)
    redis.call('PEXPIRE', key, ttl)
    return { live, former }`),

  /** Another row took this one's uid (2) or userCode (3): leaves it out, if the row is still of that write. 1 write, 2 which. */
  gatehouseLose: lua(`
    local meta = redis.call('HGET', KEYS[1], 'm')
    if not meta then return 0 end
    local head, write, parts = meta:match('^(%d+:%d*:%d+:)(........)(.*)$')
    if write ~= ARGV[1] then return 0 end
    local at = 1
    for _ = 2, tonumber(ARGV[2]) do at = at + math.max(parts:byte(at), 1) end
    local rest = parts:sub(at + math.max(parts:byte(at), 1))
    redis.call('HSET', KEYS[1], 'm', head .. write .. parts:sub(1, at - 1) .. string.char(0) .. rest)
    return 1`),

  /** Adds to an index. 1 now, 2 entry, 3 "<score>:<ttl or nothing>:<1: drops some that expired>". Answers 0 under a tombstone, else 1. */
  gatehouseEnlist: lua(`${enlisting}
    if revoked(KEYS[1]) then return 0 end
    enlist(KEYS[1], ARGV[2], ARGV[3])
    return 1`),

  /** Sets a grant's tombstone. 1 until, 2 ttl, 3 limit. Answers entries, the tombstone among them. */
  gatehouseBury: freeing(`
    local key, former = KEYS[1], redis.call('ZSCORE', KEYS[1], '')
    if not former or tonumber(former) < tonumber(ARGV[1]) then redis.call('ZADD', key, ARGV[1], '') end
    local ttl = redis.call('PTTL', key)
    -- Only the tombstone is left: what kept the index for ever is gone.
    if ttl == -1 and redis.call('ZCARD', key) == 1 then ttl = -2 end
    if ttl == -2 or (ttl >= 0 and ttl < tonumber(ARGV[2])) then redis.call('PEXPIRE', key, ARGV[2]) end
    return redis.call('ZRANGE', key, 0, ARGV[3])`),

  /** Points to a key, if the pointer does already. 1 key, 2 write, 3 ttl or ''. Answers 1 if it does. */
  gatehouseHold: lua(`
    local held = redis.call('GET', KEYS[1])
    if not held or held:sub(1, #held - 9) ~= ARGV[1] then return 0 end
    local ttl = redis.call('PTTL', KEYS[1])
    redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'KEEPTTL')
    if ARGV[3] == '' then redis.call('PERSIST', KEYS[1])
    elseif ttl >= 0 and ttl < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
    return 1`),

  /** Points to a key, whatever it pointed to. 1 key, 2 write, 3 ttl or ''. Answers "<key> <write>" that it pointed to, or ''. */
  gatehouseTake: lua(`
    local held = redis.call('GET', KEYS[1])
    local value = ARGV[1] .. ' ' .. ARGV[2]
    if ARGV[3] == '' then redis.call('SET', KEYS[1], value) else redis.call('SET', KEYS[1], value, 'PX', ARGV[3]) end
    return held or ''`),

  /** Takes a pointer back, if it is still "<key> <write>". */
  gatehouseRelease: freeing(`
    if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
    return 1`),

  /** 1 now, 2 expiry, 3 ttl, 4 nonce. Answers 1 for the first, and for the first's nonce. */
  gatehouseMark: lua(`
    local held = redis.call('GET', KEYS[1])
    if held then
      local expires, nonce = held:match('^(%d+):(.*)$')
      if tonumber(expires) > tonumber(ARGV[1]) then
        if nonce == ARGV[4] then return 1 else return 0 end
      end
    end
    redis.call('SET', KEYS[1], ARGV[2] .. ':' .. ARGV[4], 'PX', ARGV[3])
    return 1`),

  /**
   * 1 now, 2 by, 3 expiry, 4 ttl, 5 nonce. Answers the new value. A resent one counts again only if another came between:
   * too much once in a while, never too little.
   */
  gatehouseCount: lua(`
    local n, expires, held = 0, ARGV[3], redis.call('GET', KEYS[1])
    if held then
      local ends, counted, nonce = held:match('^(%d+):(-?%d+):(.*)$')
      if tonumber(ends) <= tonumber(ARGV[1]) then held = false
      elseif nonce == ARGV[5] then return tonumber(counted)
      else n, expires = tonumber(counted), ends end
    end
    n = n + tonumber(ARGV[2])
    local value = string.format('%s:%.0f:', expires, n) .. ARGV[5]
    if held then redis.call('SET', KEYS[1], value, 'KEEPTTL') else redis.call('SET', KEYS[1], value, 'PX', ARGV[4]) end
    return n`),
}

type Argument = string | number | Buffer

declare module 'ioredis' {
  interface RedisCommander<Context> {
    gatehousePutBuffer(key: string, ...given: Argument[]): Result<[number, Buffer], Context>
    gatehousePutListedBuffer(keys: number, ...given: Argument[]): Result<[number, Buffer], Context>
    gatehouseRedeem(key: string, ...given: Argument[]): Result<0 | 1 | 2, Context>
    gatehouseDropBuffer(key: string, write: string, ttl: number): Result<Buffer, Context>
    gatehouseBuryRowBuffer(key: string, ...given: Argument[]): Result<[number, Buffer], Context>
    gatehouseLose(key: string, write: string, which: 2 | 3): Result<number, Context>
    gatehouseEnlist(key: string, ...given: Argument[]): Result<0 | 1, Context>
    gatehouseBuryBuffer(key: string, ...given: Argument[]): Result<Buffer[], Context>
    gatehouseHold(key: string, ...given: Argument[]): Result<0 | 1, Context>
    gatehouseTake(key: string, ...given: Argument[]): Result<string, Context>
    gatehouseRelease(key: string, value: string): Result<number, Context>
    gatehouseMark(key: string, ...given: Argument[]): Result<0 | 1, Context>
    gatehouseCount(key: string, ...given: Argument[]): Result<number, Context>
  }
}

/** Makes the scripts commands of the client; each travels by its hash once the connection has seen it. */
export const defineScripts = (client: Client): void => {
  for (const [name, definition] of Object.entries(definitions)) client.defineCommand(name, definition)
}

/** Brings them to every master, so that the first calls need not (where a user may not, they do). */
export const loadScripts = async (client: Client): Promise<void> => {
  const loads = mastersOf(client).flatMap((node) =>
    Object.values(definitions).map(({ lua: text }) => node.script('LOAD', text)),
  )
  await Promise.all(loads).catch(() => undefined)
}
