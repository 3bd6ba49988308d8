/** What every Bus must do (src/kernel/ports.ts, PERSISTENCE 6.12): no node serves a changed record for more than a second. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Bus, Directory } from '#kernel/ports.ts'

/** One node: its directory and its bus. */
export interface Node {
  readonly directory: Directory
  readonly bus: Bus
}
export interface BusSuite {
  /** Nodes over one new set of data. */
  open(count: number): Promise<Node[]>
  readonly excused?: Readonly<Record<string, string>>
}

interface Told {
  readonly kind: string
  readonly id: string | undefined
}

/** Notes what a bus tells; `next` waits for something that fits, at most a second. */
const listen = (bus: Bus) => {
  const told: Told[] = []
  let wake = () => {}
  const stop = bus.onChange((kind, id) => {
    told.push({ kind, id })
    wake()
  })
  const next = async (fits: (one: Told) => boolean): Promise<void> => {
    const late = AbortSignal.timeout(1000)
    late.addEventListener('abort', () => wake())
    while (!told.some(fits)) {
      assert.ok(!late.aborted, 'told within a second')
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  return { told, stop, next }
}

const change = async ({ directory, bus }: Node, kind: string, id: string) => {
  await directory.create(kind, { id, doc: Buffer.from('x') })
  await bus.publish(kind, id)
}
const of = (kind: string) => (one: Told) => one.kind === kind

const cases: Record<string, (nodes: readonly [Node, Node]) => Promise<void>> = {
  'a node hears its own change at once, with the id': async ([here]) => {
    const { told } = listen(here.bus)
    await here.bus.publish('client', 'a')
    assert.deepEqual(told, [{ kind: 'client', id: 'a' }])
  },
  'every listener hears, until it stops listening': async ([here]) => {
    const one = listen(here.bus)
    const two = listen(here.bus)
    await here.bus.publish('client', 'a')
    one.stop()
    await here.bus.publish('client', 'b')
    assert.equal(one.told.length, 1)
    assert.equal(two.told.length, 2)
  },
  'another node hears within a second, also of what was never published': async ([here, there]) => {
    const ears = listen(there.bus)
    await change(here, 'client', 'a')
    await ears.next(of('client'))
    await here.directory.create('account', { id: 'a', doc: Buffer.from('x') })
    await ears.next(of('account'))
    assert.ok(!ears.told.some(of('mapping')))
  },
  'what is told can be read': async ([here, there]) => {
    const ears = listen(there.bus)
    await change(here, 'client', 'a')
    await ears.next(of('client'))
    assert.ok(await there.directory.read('client', 'a'))
  },
  'changes on both nodes at once reach both': async ([here, there]) => {
    const earsHere = listen(here.bus)
    const earsThere = listen(there.bus)
    for (let i = 0; i < 5; i++) await Promise.all([change(here, 'client', `h${i}`), change(there, 'client', `t${i}`)])
    // The own change came with its id; the other node's may come without.
    await earsHere.next(({ kind, id }) => kind === 'client' && !id?.startsWith('h'))
    await earsThere.next(({ kind, id }) => kind === 'client' && !id?.startsWith('t'))
    earsThere.told.length = 0
    await change(here, 'client', 'last')
    await earsThere.next(of('client'))
  },
  'a closed bus is silent': async ([here, there]) => {
    const silent = listen(there.bus)
    await there.bus.close()
    const third = listen(here.bus)
    await change(here, 'client', 'a')
    await third.next(of('client'))
    await there.bus.publish('client', 'b')
    assert.deepEqual(silent.told, [])
  },
}

/** Declares the suite. */
export const busContract = (name: string, { open, excused = {} }: BusSuite): void => {
  describe(`bus contract: ${name}`, () => {
    for (const [title, run] of Object.entries(cases))
      test(title, { skip: excused[title] ?? false }, async (t) => {
        const [here, there] = await open(2)
        assert.ok(here && there)
        t.after(async () => {
          for (const { bus, directory } of [here, there]) {
            await bus.close()
            await directory.close()
          }
        })
        await run([here, there])
      })
  })
}
