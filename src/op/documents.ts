/** Discovery and key set as ready bytes: they change only with the configuration and the keys (DESIGN 6). */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Ctx } from '#http/context.ts'
import { sha256 } from '#kernel/random.ts'
import type { Engine } from './engine.ts'

interface Ready {
  readonly type: string
  readonly bytes: Buffer
  readonly etag: string
  readonly caching: string
}
export type Documents = ReadonlyMap<string, Ready>

const DISCOVERY = 'public, max-age=60'
// A rotated key must be found at once: caches may keep it, but have to ask.
const KEYS = 'public, no-cache'

/** Runs the engine's own handler of a GET without a connection. @returns the body before it is serialised */
const ask = async (engine: Engine, path: string): Promise<unknown> => {
  const request = new IncomingMessage(new Socket())
  Object.assign(request, { method: 'GET', url: path, headers: { host: new URL(engine.issuer).host } })
  const ctx = engine.createContext(request, new ServerResponse(request))
  const [run] = engine.middleware
  await run?.(ctx, async () => undefined)
  if (ctx.status !== 200) throw new Error(`${path} answered ${ctx.status}`)
  return ctx.body
}

/**
 * @param known metadata that the engine does not have, or has otherwise
 * @returns by path below the issuer; throws when the engine cannot answer, which is the proof that an instance works
 */
export const createDocuments = async (engine: Engine, known: Readonly<Record<string, unknown>>): Promise<Documents> => {
  const ready = async (path: string, type: string, caching: string): Promise<[string, Ready]> => {
    const body = await ask(engine, path)
    const bytes = Buffer.from(JSON.stringify(path === '/jwks' ? body : { ...(body as object), ...known }))
    return [path, { type, bytes, caching, etag: `"${sha256(bytes).toString('base64url').slice(0, 22)}"` }]
  }
  const json = 'application/json; charset=utf-8'
  return new Map(
    await Promise.all([
      ready('/.well-known/openid-configuration', json, DISCOVERY),
      ready('/.well-known/oauth-authorization-server', json, DISCOVERY),
      ready('/jwks', 'application/jwk-set+json; charset=utf-8', KEYS),
    ]),
  )
}

/** Answers a GET or HEAD, with 304 where the asker has it already (RFC 9110 13.1.2). Public: any origin may read. */
export const serveDocument = (ctx: Ctx, { type, bytes, etag, caching }: Ready): void => {
  ctx.status = 200
  ctx.set('access-control-allow-origin', '*')
  ctx.set('cache-control', caching)
  ctx.set('etag', etag)
  if (ctx.fresh) {
    ctx.status = 304
    return
  }
  ctx.type = type
  ctx.body = bytes
}
