/**
 * Sector identifier documents that we publish (OIDC Core 8.1, OIDC Registration 5): the redirect URIs of clients that
 * see the same pairwise subjects. A client that names such a document must be in it.
 */
import type { Records } from '#directory/records.ts'
import type { Route } from '#http/route.ts'
import { Fault } from '#kernel/faults.ts'

/** Seconds for which others may keep a document. */
const KEPT = 300

export interface Sectors {
  readonly routes: readonly Route[]
  /** What a document lists; undefined when the address is not one of ours. Empty when there is no such document. */
  listed(uri: unknown): Promise<readonly string[] | undefined>
}

/** The name in an address of ours; of one that cannot be read, a name that no document has. */
const nameIn = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}

export const createSectors = (
  issuer: string,
  { clients, sectorIdentifiers }: Pick<Records, 'clients' | 'sectorIdentifiers'>,
): Sectors => {
  const base = `${issuer}/sector/`
  const read = async (id: string): Promise<readonly string[] | undefined> => {
    const sector = await sectorIdentifiers.get(id)
    if (!sector) return undefined
    const named = await Promise.all(sector.clients.map((client) => clients.get(client)))
    return [...new Set([...sector.redirectUris, ...named.flatMap((client) => client?.redirect_uris ?? [])])].sort()
  }
  return {
    routes: [
      {
        method: 'get',
        path: '/sector/:id',
        async run(ctx) {
          const uris = await read(ctx.params.id ?? '')
          if (!uris) throw new Fault('request.not-found')
          ctx.set('cache-control', `public, max-age=${KEPT}`)
          ctx.type = 'application/json'
          ctx.body = JSON.stringify(uris)
        },
      },
    ],
    async listed(uri) {
      if (typeof uri !== 'string' || !uri.startsWith(base)) return undefined
      return (await read(nameIn(uri.slice(base.length)))) ?? []
    },
  }
}
