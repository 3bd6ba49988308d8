/** The row of a browser session, with all that it is found by; and whether it still counts. */
import type { AdapterPayload } from 'oidc-provider'
import type { ArtifactRow } from '#kernel/ports.ts'
import { type Known, keyOf } from './ids.ts'
import type { Rows } from './rows.ts'
import { bucketOf, sessionTags } from './tags.ts'

export const SESSION = 'Session'

/** Milliseconds that a session's row outlasts the session, so that the relying parties can still be told of its end. */
const LINGERS = 24 * 3_600_000

const tagsOf = ({ accountId, authorizations, exp, upstream }: AdapterPayload): Buffer[] => {
  if (accountId === undefined) return []
  const tags = [sessionTags.account(accountId), ...Object.keys(authorizations ?? {}).map(sessionTags.client)]
  const { id } = (upstream ?? {}) as { id?: string }
  if (id !== undefined) tags.push(sessionTags.upstream(id))
  if (exp !== undefined) tags.push(sessionTags.due(bucketOf(exp * 1000)))
  return tags
}

/** @param known what the session is going to be asked for by next */
export const sessionRow = (rows: Rows, key: Uint8Array, payload: AdapterPayload, known?: Known): ArtifactRow => {
  const tags = tagsOf(payload)
  // Nobody has to be told of the end of a session in which nobody signed in.
  const lingers = tags.length > 0 ? LINGERS : 0
  return {
    key,
    body: rows.seal(SESSION, key, payload, known),
    ...(payload.exp !== undefined && { expiresAt: payload.exp * 1000 + lingers }),
    ...(payload.uid !== undefined && { uid: keyOf(payload.uid) }),
    ...(tags.length > 0 && { tags }),
  }
}

/** A session whose time is over is gone, although its row waits for whoever tells the relying parties. */
export const isOver = ({ exp }: Readonly<AdapterPayload>, rows: Pick<Rows, 'clock'>): boolean =>
  exp !== undefined && exp * 1000 <= rows.clock.now()
