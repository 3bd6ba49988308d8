/**
 * Several nodes of one issuer: servers in processes of their own over the same stores, and a house in this process that
 * changes what they share, as a command or a third node would. All answer for one issuer, whichever port is asked.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { silentLog } from '#kernel/log.ts'
import { type House, openHouse } from '#src/house.ts'
import { openShell, type Server, serve } from '#test/cli/shell.ts'
import { alice, client, load } from '#test/flows/world.ts'
import { type Answer, type Asked, ask } from '#test/http/world.ts'
import { freePorts } from './free-port.ts'
import { emptyPair, masterKey, type PairName } from './stores.ts'

export interface NodeServer extends Server {
  readonly port: number
  /** Asks this node for a path below the issuer. */
  ask(path: string, asked?: Asked): Promise<Answer>
}

export interface Nodes {
  readonly issuer: string
  readonly servers: readonly NodeServer[]
  /** The third one. */
  readonly house: House
}

/** The same place for a user whose messages to the other nodes are all refused: as if every one got lost. */
const withoutMessages = async (address: string): Promise<string> => {
  if (!address.startsWith('redis:')) return address
  const redis = new Redis(address)
  await redis.acl('SETUSER', 'unheard', 'on', '>unheard', '~*', '&*', '+@all', '-publish')
  await redis.quit()
  return address.replace('redis://', 'redis://unheard:unheard@')
}

/**
 * Two servers on these stores, empty at first.
 * @param settings beside issuer, stores and master key
 * @param unheard no message of one node reaches another
 */
export const openNodes = async (
  t: TestContext,
  name: PairName,
  settings: Record<string, unknown> = {},
  { unheard = false } = {},
): Promise<Nodes> => {
  const pair = await emptyPair(name)
  const closing: (() => Promise<unknown>)[] = [pair.close]
  t.after(async () => {
    for (const close of closing.toReversed()) await close()
  })
  const ports = await freePorts(2)
  const host = `localhost:${ports[0]}`
  const written = {
    issuer: `http://${host}`,
    masterKey,
    ...pair.settings,
    ...(unheard && {
      stores: { ...pair.settings.stores, artifacts: await withoutMessages(pair.settings.stores.artifacts) },
    }),
    keys: { algorithms: ['ES256'], default: 'ES256' },
    ...settings,
  }
  const shell = await openShell(t, written)
  // Together, on empty stores: the first start of several nodes is one of the things to get right.
  const servers = await Promise.all(
    ports.map(async (port): Promise<NodeServer> => {
      const server = await serve(t, shell, port)
      return {
        ...server,
        port,
        ask: (path, asked = {}) => ask(port, path, { ...asked, headers: { host, ...asked.headers } }),
      }
    }),
  )
  closing.push(...servers.map((server) => () => server.stop()))
  const house = await openHouse(load(written), { log: silentLog })
  closing.push(house.close)
  return { issuer: `http://${host}`, servers, house }
}

/** Puts what tests sign in with into the stores: one person, one application. */
export const furnish = async ({ house }: Nodes): Promise<void> => {
  const { resources } = load({ clients: [client({ trusted: true })], accounts: [alice] })
  for (const one of resources.clients) await house.records.clients.put(one)
  for (const one of resources.accounts) await house.records.accounts.create(one)
}

/**
 * Asserts that a change is in force everywhere within `ms` of the moment when `make` is done: whoever asks later must
 * not see the old state any more, and stays with the new one.
 * @param seen whether a node shows the new state
 */
export const inForceWithin = async (
  ms: number,
  servers: readonly NodeServer[],
  make: () => Promise<unknown>,
  seen: (server: NodeServer) => Promise<boolean>,
): Promise<void> => {
  await make()
  const made = performance.now()
  await Promise.all(
    servers.map(async (server, node) => {
      for (let held = 0; held < 5; ) {
        const asked = performance.now()
        if (await seen(server)) held++
        else {
          assert.equal(held, 0, `node ${node} went back to the old state`)
          assert.ok(asked - made < ms, `node ${node} still shows the old state after ${Math.round(asked - made)} ms`)
        }
        await delay(20)
      }
    }),
  )
}
