/**
 * Under which names sessions and grants are found again without their ids: by account, by client, by the provider's
 * session that they came from, by the time at which they end. A store sees hashes only.
 */
import { keyOf } from './ids.ts'

/** Milliseconds of one bucket of sessions that end at about the same time. */
const BUCKET_MS = 300_000

/** Sessions that end in the bucket of this instant (epoch ms) are found together. */
export const bucketOf = (at: number): number => Math.floor(at / BUCKET_MS)

export const sessionTags = {
  account: (accountId: string): Buffer => keyOf(`session account ${accountId}`),
  client: (clientId: string): Buffer => keyOf(`session client ${clientId}`),
  /** @param id of the sealed record of what the provider said */
  upstream: (id: string): Buffer => keyOf(`session upstream ${id}`),
  due: (bucket: number): Buffer => keyOf(`session due ${bucket}`),
}

export const grantTags = {
  account: (accountId: string): Buffer => keyOf(`grant account ${accountId}`),
  client: (clientId: string): Buffer => keyOf(`grant client ${clientId}`),
}
