/**
 * What every ArtifactStore must do (src/kernel/ports.ts, PERSISTENCE 6). A caller gives an opener and moves the time;
 * a case that a store cannot pass is excused by name, with the reason.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Clock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import type { ArtifactStore, Mark } from '#kernel/ports.ts'
import { expiry, lookups, rows, swept, unswept } from './artifact-store-rows.ts'
import { granted, redeeming, revisions } from './artifact-store-winners.ts'
import { all, type Cases, key, plain, row, times } from './artifact-store-world.ts'

export interface ArtifactStoreSuite {
  /** A store that holds nothing. */
  open(): Promise<ArtifactStore>
  /** The store's clock; it must stand still between skips. */
  readonly clock: Clock
  /** Moves it on; a real engine may have to sleep. */
  skip(ms: number): Promise<void>
  /** The database removes what has expired by itself. */
  readonly unswept?: true
  readonly excused?: Readonly<Record<string, string>>
}

/** In comparable form, whatever order a store gives the members in. */
const plainMark = (mark: Mark): unknown => {
  if ('once' in mark) return ['once', mark.once.model, hex(mark.once.key), mark.once.expiresAt]
  if ('revoked' in mark) return ['revoked', hex(mark.revoked.grant), mark.revoked.until]
  return ['counter', hex(mark.counter.key), mark.counter.count, mark.counter.expiresAt]
}
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const life: Cases = {
  'a scan gives every live row, as another store can take it': async ({ store, clock }) => {
    const expiresAt = clock.now() + 60_000
    const given = times(250, (i) =>
      row(`row ${i}`, { expiresAt, uid: key(`u ${i}`), grant: key('g'), tags: [key('t'), key(`t ${i}`)] }),
    )
    await Promise.all(given.map((one, i) => store.put(i % 2 ? 'Session' : 'Grant', one)))
    const found = await all(store)
    assert.equal(found.length, 250)
    assert.equal(found.filter(({ model }) => model === 'Session').length, 125)
    const byKey = new Map(found.map(({ row }) => [Buffer.from(row.key).toString('hex'), row]))
    for (const one of given) {
      const same = byKey.get(Buffer.from(one.key).toString('hex'))
      assert.ok(same)
      assert.deepEqual(plain(same), plain(one))
    }
  },
  'the marks give every live marker, revoked grant and counter, as another store can take it': async (world) => {
    const { store, clock, skip } = world
    const marks = async () => {
      const found: unknown[] = []
      for await (const mark of store.marks()) found.push(plainMark(mark))
      return found.map((mark) => JSON.stringify(mark)).sort()
    }
    const [soon, late] = [clock.now() + 1000, clock.now() + 60_000]
    const live: Mark[] = [
      ...times(20, (i): Mark => ({ once: { model: i % 2 ? 'Replay' : 'Proof', key: key(`o ${i}`), expiresAt: late } })),
      ...times(20, (i): Mark => ({ revoked: { grant: key(`g ${i}`), until: late } })),
      ...times(20, (i): Mark => ({ counter: { key: key(`c ${i}`), count: i + 1, expiresAt: late } })),
    ]
    const expired: Mark[] = [
      { once: { model: 'Proof', key: key('o'), expiresAt: soon } },
      { revoked: { grant: key('g'), until: soon } },
      { counter: { key: key('c'), count: 1, expiresAt: soon } },
    ]
    for (const mark of [...live, ...expired]) {
      if ('once' in mark) await store.putOnce(mark.once.model, mark.once.key, mark.once.expiresAt)
      else if ('revoked' in mark) await store.dropGrant(mark.revoked.grant, mark.revoked.until)
      else await store.increment(mark.counter.key, mark.counter.count, mark.counter.expiresAt)
    }
    await store.put('Session', row('a', { expiresAt: late }))
    assert.equal((await marks()).length, 63)
    await skip(1000)
    assert.deepEqual(await marks(), live.map((mark) => JSON.stringify(plainMark(mark))).sort())
  },
  'after close every call is refused, none hangs': async ({ store, clock }) => {
    await store.ready()
    const last = store.put('Session', row('a'))
    await store.close()
    assert.equal(await last, 'stored')
    await store.close()
    const unavailable = (error: unknown) => isFault(error, 'store.unavailable')
    await assert.rejects(store.put('Session', row('a')), unavailable)
    await assert.rejects(store.get('Session', 'key', key('a')), unavailable)
    await assert.rejects(store.redeem('Session', key('a'), 'n', clock.now()), unavailable)
    await assert.rejects(store.ready(), unavailable)
  },
}

/** Declares the suite: one `describe` per topic, one fresh store per case. */
export const artifactStoreContract = (name: string, { open, excused = {}, ...time }: ArtifactStoreSuite): void => {
  const sweeping = time.unswept ? unswept : swept
  const topics = { rows, expiry, sweeping, redeeming, lookups, revisions, granted, life }
  describe(`artifact store contract: ${name}`, () => {
    for (const [topic, cases] of Object.entries(topics))
      describe(topic, () => {
        for (const [title, run] of Object.entries(cases))
          test(title, { skip: excused[title] ?? false }, async (t) => {
            const store = await open()
            t.after(() => store.close())
            await run({ store, ...time })
          })
      })
  })
}
