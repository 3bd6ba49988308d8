/**
 * Asks a store that is a round trip away for what a request is going to need, together with what it asks for: with a
 * code its grant and session, with a session the grant of the client that asks. Which row follows which is remembered by
 * the node that wrote or read it; another one asks one after the other. What was read ahead is used once, by the request
 * that it was read for and before its first write: it is what the same request would have read a moment later.
 */
import { latin1Of } from '#kernel/bytes.ts'
import type { ArtifactRow, ArtifactStore, Model } from '#kernel/ports.ts'
import type { Known, Read } from './ids.ts'
import { perRequest } from './request.ts'

export interface Ahead {
  /** The same store; its `get` answers with what was read ahead. */
  readonly store: ArtifactStore
  /** What is going to be read after a row; `of` tells apart for whom. */
  expect(known: Known, reads: () => readonly Read[], of?: string): void
  /** The row is being read: what followed last time is read too. */
  begin(known: Known, of?: string): void
  /** The row was read: what follows is asked for if `begin` did not, and remembered. */
  ask(known: Known, reads: () => readonly Read[]): void
}

/** A row that was asked for and not been used yet. */
interface Asked extends Read {
  readonly answer: Promise<ArtifactRow | undefined>
}

/** For a store in this process, where reading ahead would only cost. */
const nothingAhead = (store: ArtifactStore): Ahead => ({
  store,
  expect: () => undefined,
  begin: () => undefined,
  ask: () => undefined,
})

/** @param store read ahead where it says that it is remote */
export const createAhead = (store: ArtifactStore): Ahead => {
  if (!store.remote) return nothingAhead(store)
  const asked = perRequest((): Asked[] => [])
  const ask = (reads: readonly Read[]): void => {
    const all = reads.length > 0 ? asked() : undefined
    if (!all) return
    for (const read of reads) {
      const { model, by, value } = read
      if (all.some((one) => one.value === value && one.model === model && one.by === by)) continue
      const answer = store.get(model, by, Buffer.from(value, 'latin1'))
      // Whoever needs it is told of the failure.
      answer.catch(() => undefined)
      all.push({ model, by, value, answer })
    }
  }
  const taken = (model: Model, by: string, value: Uint8Array): Promise<ArtifactRow | undefined> | undefined => {
    const all = asked()
    if (!all || all.length === 0) return undefined
    const text = latin1Of(value)
    const at = all.findIndex((one) => one.value === text && one.model === model && one.by === by)
    return at < 0 ? undefined : all.splice(at, 1)[0]?.answer
  }
  /** A write: nothing that was read before it is used after it. */
  const writing = <T>(write: () => T): T => {
    const all = asked()
    if (all) all.length = 0
    return write()
  }

  return {
    store: {
      get: (model, by, value) => taken(model, by, value) ?? store.get(model, by, value),
      put: (model, row, options) => writing(() => store.put(model, row, options)),
      redeem: (model, key, nonce, at) => writing(() => store.redeem(model, key, nonce, at)),
      drop: (model, key) => writing(() => store.drop(model, key)),
      dropGrant: (grant, until) => writing(() => store.dropGrant(grant, until)),
      putOnce: (model, key, expiresAt) => store.putOnce(model, key, expiresAt),
      findTagged: (model, tag, limit) => store.findTagged(model, tag, limit),
      increment: (key, by, expiresAt) => store.increment(key, by, expiresAt),
      sweep: (limit) => store.sweep(limit),
      scan: () => store.scan(),
      marks: () => store.marks(),
      ready: () => store.ready(),
      close: () => store.close(),
    },
    expect(known, reads, of) {
      known.following = { reads: reads(), of }
    },
    begin({ following }, of) {
      if (following && following.of === of) ask(following.reads)
    },
    ask(known, reads) {
      if (known.following) return
      known.following = { reads: reads(), of: undefined }
      ask(known.following.reads)
    },
  }
}
