/**
 * What every ArtifactStore must do (src/kernel/ports.ts, PERSISTENCE 6). A caller gives an opener and moves the time;
 * a case that a store cannot pass is excused by name, with the reason.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Clock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { expiry, lookups, rows } from './artifact-store-rows.ts'
import { granted, redeeming, revisions } from './artifact-store-winners.ts'
import { all, type Cases, key, plain, row, times } from './artifact-store-world.ts'

export interface ArtifactStoreSuite {
  /** A store that holds nothing. */
  open(): Promise<ArtifactStore>
  /** The store's clock; it must stand still between skips. */
  readonly clock: Clock
  /** Moves it on; a real engine may have to sleep. */
  skip(ms: number): Promise<void>
  readonly excused?: Readonly<Record<string, string>>
}

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
  describe(`artifact store contract: ${name}`, () => {
    for (const [topic, cases] of Object.entries({ rows, expiry, redeeming, lookups, revisions, granted, life }))
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
