/** A Gatehouse whose issuer, files and log a test chooses itself; closed after the test file. */
import { after } from 'node:test'
import { createLog, silentLog } from '#kernel/log.ts'
import { type House, openHouse } from '#src/house.ts'
import { type Running, start } from '#src/wire.ts'
import { alice, client, freePort, load } from '#test/flows/world.ts'
import { emptyPair, type Pair, type PairName } from '#test/world/stores.ts'

export interface OwnServer extends Running {
  readonly port: number
  /** Where its stores lie. */
  readonly folder: string
  readonly place: Pair
  /** The log as it was written. */
  readonly text: readonly string[]
  /** The same stores opened a second time, as a command would. */
  house(): Promise<House>
}

const opened: (() => Promise<void>)[] = []
after(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

export const startOwn = async (written: Record<string, unknown>, on?: PairName): Promise<OwnServer> => {
  const port = await freePort()
  const place = await emptyPair(on)
  const { folder } = place
  const text: string[] = []
  const loaded = load({
    issuer: `http://localhost:${port}`,
    clients: [client()],
    accounts: [alice],
    egress: { allowPrivate: ['127.0.0.0/8', '::1/128', 'localhost'] },
    ...written,
    listen: { port },
    ...place.settings,
  })
  const running = await start(loaded, { log: createLog('debug', (line) => text.push(line)) })
  opened.push(async () => {
    await running.close().catch(() => undefined)
    await place.close()
  })
  return { ...running, port, folder, place, text, house: () => openHouse(loaded, { log: silentLog }) }
}
