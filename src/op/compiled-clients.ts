/**
 * Clients that the engine has made of their metadata. By itself it serialises and hashes the metadata of a client for
 * every request, to find the client that it made of them before, and keeps a hundred; the records answer the very same
 * object as long as nothing was changed, so here the object itself is the key.
 */
import type { AdapterPayload } from 'oidc-provider'
import type { Engine } from './engine.ts'

type Client = NonNullable<Awaited<ReturnType<Engine['Client']['find']>>>

/** @param metadataOf the adapter's answer; the same object as long as it means the same */
export const keepCompiled = (
  engine: Engine,
  metadataOf: (id: string) => Promise<AdapterPayload | undefined | void>,
): void => {
  const { Client } = engine
  const find = Client.find.bind(Client)
  const compiled = new WeakMap<object, Client>()
  Client.find = async (id) => {
    const metadata = typeof id === 'string' && id !== '' ? await metadataOf(id) : undefined
    const known = metadata && compiled.get(metadata)
    if (known) return known
    const client = await find(id)
    if (client && metadata) compiled.set(metadata, client)
    return client
  }
}
