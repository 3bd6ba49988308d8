/** What a server must be to hold artifacts, and what its administrator should be warned of, at every start. */
import type { Redis } from 'ioredis'
import { Fault } from '#kernel/faults.ts'
import type { Log } from '#kernel/log.ts'
import { mayPass, unavailable } from './faults.ts'
import { type Client, mastersOf } from './scripts.ts'
import type { Address } from './url.ts'

/** `#!lua` scripts and their flags came with it. */
const OLDEST = 7

type Facts = ReadonlyMap<string, string>

const readFacts = (info: string): Facts =>
  new Map(
    info
      .split('\r\n')
      .filter((line) => line.includes(':') && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  )

/** Why this server cannot be used, or undefined. */
const refusal = (facts: Facts, mode: Address['mode']): string | undefined => {
  const version = facts.get('redis_version') ?? ''
  if (facts.get('redis_mode') === 'sentinel') return 'this is a sentinel: write redis+sentinel://host/name'
  if (Number.parseInt(version, 10) < OLDEST) return `version ${version} is too old: ${OLDEST}.0 or newer is needed`
  const clustered = facts.get('cluster_enabled') === '1'
  if (clustered && mode !== 'cluster') return 'this is a node of a Cluster: write redis+cluster:// in place of redis://'
  if (mode === 'alone' && facts.get('role') === 'slave') return 'this is a read-only replica: name its master'
  return undefined
}

/** What may lose artifacts: markers of what was used up among them. */
const warnings = (facts: Facts, flush: string | undefined): string[] => {
  const found: string[] = []
  const policy = facts.get('maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction')
    found.push(`maxmemory-policy is ${policy}: under pressure, used codes become usable again; set noeviction`)
  if (facts.get('aof_enabled') === '0')
    found.push(
      'no append-only file: a restart signs people out and forgets what was used or revoked; set appendonly yes',
    )
  else if (flush === 'no')
    found.push('appendfsync is no: a power failure loses more than a second; set everysec or always')
  return found
}

const hostOf = ({ options }: Redis): string => `${options.host ?? ''}:${options.port ?? ''}`

const checkServer = async (node: Redis, { mode, label }: Address, log: Log): Promise<void> => {
  let facts: Facts
  try {
    facts = readFacts(await node.info())
  } catch (error) {
    // Some hosted offers forbid INFO: then nothing is known, and nothing is wrong.
    if (mayPass(error)) throw error
    return log.warn('store.unchecked', { store: label, reason: 'the user may not run INFO' })
  }
  const reason = refusal(facts, mode)
  if (reason !== undefined) throw unavailable(label, `${label}: ${reason}`)
  const flush = await node.config('GET', 'appendfsync').catch(() => undefined)
  const value = Array.isArray(flush) ? String(flush[1]) : undefined
  for (const warning of warnings(facts, value)) log.warn('store.risk', { store: label, server: hostOf(node), warning })
}

/** Throws Fault `store.unavailable` for a server that cannot be used; warns of settings that lose data. */
export const checkServers = async (client: Client, address: Address, log: Log): Promise<void> => {
  const results = await Promise.allSettled(mastersOf(client).map((node) => checkServer(node, address, log)))
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))
  const clear = failures.find((failure) => failure instanceof Fault)
  if (failures.length > 0) throw clear ?? failures[0]
}
