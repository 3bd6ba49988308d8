/** Relying parties' logout addresses on one real socket: verifies what comes to the back channel as Back-Channel Logout 2.6 says. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRemoteJWKSet, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'

export interface Heard {
  readonly client: string
  readonly claims: JWTPayload
  /** Epoch ms. */
  readonly at: number
}

/** What a client's address answers: a status, or nothing at all. */
export type Manner = number | 'hang'

export interface Receiver {
  readonly origin: string
  /** Verified tokens, answered with success. */
  readonly heard: readonly Heard[]
  /** Every request to the back channel, in order; `token` names what came. */
  readonly asked: readonly { readonly client: string; readonly token: string; readonly answered: Manner }[]
  /** Requests of frames. */
  readonly framed: readonly URL[]
  backchannel(client: string): string
  frontchannel(client: string): string
  /** How a client's addresses answer from now on; 200 unless told. */
  answer(client: string, manner: Manner): void
  /** Waits until so many tokens of these clients were heard. Throws after a minute with what came. */
  wait(clients: readonly string[]): Promise<Heard[]>
  close(): Promise<void>
}

const PATIENCE_MS = 60_000

const bodyOf = async (req: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/**
 * @param issuer whose tokens are believed; read when a token comes
 * @param keysOf the issuer's keys; from its key document unless given
 */
export const openReceiver = async (
  issuer: () => string,
  keysOf: () => JWTVerifyGetKey = () => createRemoteJWKSet(new URL(`${issuer()}/jwks`)),
): Promise<Receiver> => {
  const heard: Heard[] = []
  const asked: { client: string; token: string; answered: Manner }[] = []
  const framed: URL[] = []
  const manners = new Map<string, Manner>()
  const waiting = new Set<() => void>()
  const seen = new Set<string>()

  const verify = async (token: string, client: string): Promise<JWTPayload> => {
    const { payload } = await jwtVerify(token, keysOf(), {
      issuer: issuer(),
      audience: client,
      typ: 'logout+jwt',
      requiredClaims: ['iat', 'exp', 'jti', 'events'],
    })
    const events = payload.events as Record<string, unknown>
    if (!('http://schemas.openid.net/event/backchannel-logout' in events)) throw new Error('no logout event')
    if (payload.sub === undefined && payload.sid === undefined) throw new Error('neither sub nor sid')
    if ('nonce' in payload) throw new Error('a nonce')
    if (seen.has(String(payload.jti))) throw new Error('a token that came before')
    seen.add(String(payload.jti))
    return payload
  }
  const logout = async (req: IncomingMessage, res: ServerResponse, client: string) => {
    const token = new URLSearchParams(await bodyOf(req)).get('logout_token') ?? ''
    const manner = manners.get(client) ?? 200
    asked.push({ client, token, answered: manner })
    if (manner === 'hang') return
    if (manner < 300) {
      const claims = await verify(token, client)
      heard.push({ client, claims, at: Date.now() })
    }
    res.writeHead(manner, { 'cache-control': 'no-store' }).end()
    for (const look of waiting) look()
  }
  const server = createServer((req, res) => {
    const url = new URL(req.url ?? '/', 'http://localhost')
    const [, channel, client = ''] = url.pathname.split('/')
    if (channel === 'back')
      return void logout(req, res, client).catch((error: Error) => res.writeHead(400).end(error.message))
    framed.push(new URL(req.url ?? '/', `http://${req.headers.host}`))
    if (manners.get(client) === 'hang') return
    res.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Signed out</title>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    origin,
    heard,
    asked,
    framed,
    backchannel: (client) => `${origin}/back/${client}`,
    frontchannel: (client) => `${origin}/front/${client}`,
    answer: (client, manner) => void manners.set(client, manner),
    wait(clients) {
      const wanted = [...clients]
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look)
          reject(new Error(`waited for ${wanted}; came: ${JSON.stringify(asked.map(({ client }) => client))}`))
        }, PATIENCE_MS)
        const look = () => {
          const left = [...heard]
          const found = wanted.map((client) => {
            const index = left.findIndex((each) => each.client === client)
            return index < 0 ? undefined : left.splice(index, 1)[0]
          })
          if (!found.every((each) => each !== undefined)) return
          clearTimeout(timer)
          waiting.delete(look)
          resolve(found)
        }
        waiting.add(look)
        look()
      })
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
