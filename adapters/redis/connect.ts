/**
 * The only file that constructs a client. A client that cannot be opened fails at once with one clear sentence; one that
 * was opened comes back by itself, whatever happens to the servers.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { type Fault, isFault } from '#kernel/faults.ts'
import type { Log } from '#kernel/log.ts'
import { checkServers } from './check.ts'
import { mayPass, reasonOf, unavailable } from './faults.ts'
import { type Client, defineScripts, loadScripts } from './scripts.ts'
import type { Address } from './url.ts'

/** ms. A server that loads its data at its start is waited for this long. */
const OPEN_LIMIT = 10_000
/** ms between two looks where the slots of a Cluster are. */
const SLOTS_EVERY = 5000
const RETRY_FROM = 50
const RETRY_TO = 1000

/** Open for as long as `open` is true; then a lost connection is final. */
interface Phase {
  opening: boolean
  closed: boolean
}

const backOff =
  (phase: Phase) =>
  (times: number): number | null =>
    phase.opening || phase.closed ? null : Math.min(RETRY_FROM * 2 ** Math.min(times, 10), RETRY_TO)

/**
 * link.ts bounds a call; socketTimeout ends a connection that is asked and says nothing, and with it all that was asked.
 * Nothing is queued while there is no connection, and nothing is sent again behind our back: link.ts does that, for what
 * may be sent twice.
 */
const common = ({ username, password, tls }: Address) =>
  ({
    username,
    password,
    tls,
    connectTimeout: 1000,
    // A little longer than callers wait: an answer still counts that is here and was only not read yet.
    socketTimeout: 2500,
    // A server that does not even close a connection is left without it.
    disconnectTimeout: 200,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // As above, for the bus: it subscribes again by itself.
    autoResubscribe: false,
    maxLoadingRetryTime: 250,
    keepAlive: 5000,
    connectionName: 'gatehouse',
    lazyConnect: true,
    // After a failover the former master may still be there, as a replica: look for the new one.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  }) satisfies RedisOptions

const createRedis = (address: Address, phase: Phase): Redis => {
  const { hosts, db, name, sentinel, tls } = address
  const retryStrategy = backOff(phase)
  const options = { ...common(address), db, retryStrategy, enableOfflineQueue: false }
  if (address.mode === 'alone') return new Redis({ ...options, ...hosts[0] })
  return new Redis({
    ...options,
    sentinels: [...hosts],
    name,
    sentinelUsername: sentinel.username,
    sentinelPassword: sentinel.password,
    sentinelCommandTimeout: 500,
    sentinelRetryStrategy: retryStrategy,
    // News of failovers come quicker than their signs. A sentinel that was lost is not listened to again before the next
    // connection: ioredis would end this process when that failed (the promise of its subscription has no owner).
    failoverDetector: true,
    sentinelReconnectStrategy: () => null,
    ...(tls && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
  })
}

const createCluster = (address: Address, phase: Phase): Cluster =>
  new Cluster([...address.hosts], {
    redisOptions: common(address),
    clusterRetryStrategy: backOff(phase),
    enableOfflineQueue: false,
    // It would send again what may have been executed, whatever it is: link.ts knows what may be.
    retryDelayOnFailover: 0,
    lazyConnect: true,
    // A replica may not know yet what its master did: one code could be redeemed twice.
    scaleReads: 'master',
    slotsRefreshTimeout: 1000,
    // Done here: a refresh of ioredis 6.0.0 that is under way when the client is closed goes on for ever.
    slotsRefreshInterval: 0,
    // Certificates are for names: keep them.
    ...(address.tls && { dnsLookup: (host, callback) => callback(null, host) }),
  })

export interface Connection {
  readonly client: Client
  close(): void
}

/** A Cluster client keeps to itself why a node cannot be reached: a plain one says it. */
const causeOf = async (address: Address, error: unknown): Promise<unknown> => {
  if (address.mode !== 'cluster' || !mayPass(error)) return error
  const phase: Phase = { opening: true, closed: false }
  const client = createRedis({ ...address, mode: 'alone' }, phase)
  let trouble: unknown
  client.on('error', (one) => {
    trouble ??= one
  })
  await client.connect().catch(() => undefined)
  client.disconnect()
  return trouble ?? error
}

const refusalOf = async (address: Address, error: unknown): Promise<Fault> => {
  if (isFault(error)) return error
  const cause = await causeOf(address, error)
  const reason = reasonOf(cause)
  const secure = address.tls !== undefined
  const doubt = secure ? /does not answer/.test(reason) : /was closed/.test(reason)
  const hint = secure ? ' (does it speak TLS? If not, write redis in place of rediss)' : ' (does it want TLS: rediss?)'
  return unavailable(address.label, `${address.label}: ${reason}${doubt ? hint : ''}`, cause)
}

/** Connects, checks the servers and defines the scripts. Throws Fault `store.unavailable` (the reason in detail). */
export const openClient = async (address: Address, log: Log): Promise<Connection> => {
  const phase: Phase = { opening: true, closed: false }
  const client: Client = address.mode === 'cluster' ? createCluster(address, phase) : createRedis(address, phase)
  let trouble: unknown
  const note = (error: unknown) => {
    trouble ??= error
    log.debug('store.trouble', { store: address.label, reason: reasonOf(error) })
  }
  // Without a listener ioredis writes to the console.
  client.on('error', note)
  client.on('node error', note)
  const refresh = () => {
    if (client instanceof Cluster && client.status === 'ready') client.refreshSlotsCache()
  }
  const refreshing = setInterval(refresh, SLOTS_EVERY).unref()
  const close = () => {
    phase.closed = true
    clearInterval(refreshing)
    // A Cluster client that is just looking for its nodes goes on with it.
    for (const sign of ['ready', '+node']) client.on(sign, () => setImmediate(() => client.disconnect()))
    client.disconnect()
  }
  const late = new AbortController()
  const limit = delay(OPEN_LIMIT, undefined, { signal: late.signal }).then(() => {
    throw trouble ?? new Error('LOADING')
  })
  try {
    defineScripts(client)
    await Promise.race([limit, client.connect()])
    // A database number that does not exist is only told by an event; ioredis goes on with another one.
    if (trouble !== undefined && address.mode === 'alone') throw trouble
    await Promise.race([limit, checkServers(client, address, log).then(() => loadScripts(client))])
  } catch (error) {
    close()
    throw await refusalOf(address, trouble ?? error)
  } finally {
    limit.catch(() => undefined)
    late.abort()
  }
  phase.opening = false
  client.on('end', () => {
    // ioredis gives up for good when a failover is announced just while it asks the sentinels.
    if (!phase.closed) setTimeout(() => client.connect().catch(note), RETRY_TO).unref()
  })
  return { client, close }
}
