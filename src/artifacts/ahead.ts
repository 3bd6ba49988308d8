/**
 * Asks a store that is a round trip away for what a request is going to need, together with what it asks for: with a
 * code its grant and session, with a session the grant of the client that asks. Which row follows which is remembered by
 * the node that wrote or read it; another one asks one after the other. What was read ahead is used once, by the request
 * that it was read for and before its first write: it is what the same request would have read a moment later.
 */
import { latin1Of } from '#kernel/bytes.ts'
import type { ArtifactRow, ArtifactStore, Model } from '#kernel/ports.ts'
import { createRecent } from '#kernel/recent.ts'
import { perRequest } from './request.ts'

export interface Read {
  readonly model: Model
  readonly by: 'key' | 'uid'
  /** What `keyTextOf` says. */
  readonly value: string
}

export interface Ahead {
  /** The same store; its `get` answers with what was read ahead. */
  readonly store: ArtifactStore
  /** What is going to be read after `place`, a name of the caller's. */
  expect(place: () => string, reads: () => readonly Read[]): void
  /** `place` is being read: what followed last time is read too. */
  begin(place: () => string): void
  /** Reads at once what has not been asked for yet. */
  ask(reads: () => readonly Read[]): void
}

/** Places of which is remembered what follows. */
const PLACES = 10_000

/** Names a row for `expect` and `begin`. */
export const placeName = (model: Model, key: Uint8Array, more = ''): string => `${model} ${latin1Of(key)}${more}`

const nameOf = (model: Model, by: string, value: string): string => `${model} ${by} ${value}`

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
  const memory = createRecent<string, readonly Read[]>(PLACES)
  const asked = perRequest(() => new Map<string, Promise<ArtifactRow | undefined>>())
  const ask = (reads: readonly Read[]): void => {
    const known = reads.length > 0 ? asked() : undefined
    for (const { model, by, value } of known ? reads : []) {
      const name = nameOf(model, by, value)
      if (known?.has(name)) continue
      const answer = store.get(model, by, Buffer.from(value, 'latin1'))
      // Whoever needs it is told of the failure.
      answer.catch(() => undefined)
      known?.set(name, answer)
    }
  }
  const taken = (model: Model, by: string, value: Uint8Array): Promise<ArtifactRow | undefined> | undefined => {
    const known = asked()
    if (!known || known.size === 0) return undefined
    const name = nameOf(model, by, latin1Of(value))
    const answer = known.get(name)
    known.delete(name)
    return answer
  }
  /** A write: nothing that was read before it is used after it. */
  const writing = <T>(write: () => T): T => {
    asked()?.clear()
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
    expect(place, reads) {
      const following = reads()
      if (following.length > 0) memory.set(place(), following)
    },
    begin: (place) => ask(memory.get(place()) ?? []),
    ask: (reads) => ask(reads()),
  }
}
