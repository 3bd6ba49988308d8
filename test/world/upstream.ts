/**
 * An OpenID Provider for tests that can lie: a small, correct one on node:http and jose, and a `tamper` knob that spoils
 * exactly one thing from the moment it is set. It checks what a real one checks (PKCE, redirect URI, code once, client
 * authentication), so that a login through it proves something.
 */
import { createHash, randomUUID, type webcrypto } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose'
import { ail, ailments, claimsOf, type Endpoint, seconds, spoil, type Tamper } from './upstream-lies.ts'

export type { Tamper } from './upstream-lies.ts'

export interface Seen {
  readonly endpoint: Endpoint
  readonly params: URLSearchParams
  readonly authorization?: string
}

export interface UpstreamOptions {
  clientId?: string
  clientSecret?: string
  /** Claims of the only user; `sub` is theirs. */
  user?: Record<string, unknown>
  /** Claims that only userinfo has. */
  userinfo?: Record<string, unknown> | null
  /** How ID tokens are signed. */
  alg?: 'RS256' | 'ES256' | 'none' | 'HS256'
  /** Members of the discovery document to add, or with undefined to leave out. */
  metadata?: Record<string, unknown>
  /** Cache-Control of discovery and keys. */
  cacheControl?: string
}

interface Grant {
  readonly params: URLSearchParams
  used: boolean
}

const json = (res: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) =>
  res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))

interface Key {
  readonly kid: string
  readonly privateKey: webcrypto.CryptoKey
  readonly publicJwk: JWK
}

const makeKey = async (alg: 'RS256' | 'ES256'): Promise<Key> => {
  const kid = randomUUID()
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

export class Upstream {
  issuer = ''
  tamper: Tamper | undefined
  user: Record<string, unknown>
  readonly seen: Seen[] = []
  readonly clientId: string
  readonly clientSecret: string
  readonly #options: UpstreamOptions
  readonly #grants = new Map<string, Grant>()
  readonly #pushed = new Map<string, URLSearchParams>()
  readonly #tokens = new Set<string>()
  readonly #server = createServer((req, res) => {
    this.#route(req, res).catch((error: unknown) => {
      res.destroy(error as Error)
    })
  })
  #key: Key
  #foreign: Key

  private constructor(options: UpstreamOptions, key: Key, foreign: Key) {
    this.#options = options
    this.#key = key
    this.#foreign = foreign
    this.clientId = options.clientId ?? 'gatehouse'
    this.clientSecret = options.clientSecret ?? 'a secret: with % and +'
    this.user = options.user ?? { sub: 'Alice.01', preferred_username: 'alice', email: 'alice@acme.example' }
  }

  static async start(options: UpstreamOptions = {}): Promise<Upstream> {
    const alg = options.alg === 'ES256' ? 'ES256' : 'RS256'
    const upstream = new Upstream(options, await makeKey(alg), await makeKey(alg))
    await new Promise<void>((resolve) => upstream.#server.listen(0, '127.0.0.1', resolve))
    upstream.issuer = `http://127.0.0.1:${(upstream.#server.address() as AddressInfo).port}`
    return upstream
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** From now on signs with a new key and publishes only that. */
  async rotate(): Promise<void> {
    this.#key = await makeKey(this.#options.alg === 'ES256' ? 'ES256' : 'RS256')
  }

  /** The parameters of the last request to an endpoint. */
  last(endpoint: Endpoint): URLSearchParams {
    const found = this.seen.findLast((each) => each.endpoint === endpoint)
    if (!found) throw new Error(`nobody asked ${endpoint}`)
    return found.params
  }

  count(endpoint: Endpoint): number {
    return this.seen.filter((each) => each.endpoint === endpoint).length
  }

  get publicKeys(): { keys: JWK[] } {
    return { keys: [this.#key.publicJwk] }
  }

  get discovery(): Record<string, unknown> {
    const at = this.issuer
    return {
      issuer: this.tamper === 'discovery issuer' ? 'https://evil.example' : at,
      authorization_endpoint: `${at}/authorize`,
      token_endpoint: `${at}/token`,
      jwks_uri: `${at}/jwks`,
      ...(this.#options.userinfo !== null && { userinfo_endpoint: `${at}/userinfo` }),
      pushed_authorization_request_endpoint: `${at}/par`,
      end_session_endpoint: `${at}/end`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256', 'ES256'],
      authorization_response_iss_parameter_supported: true,
      ...this.#options.metadata,
    }
  }

  /** Plays the browser: asks the authorization endpoint and answers where it was sent. */
  async visit(url: URL): Promise<URL> {
    const answer = await fetch(url, { redirect: 'manual' })
    const location = answer.headers.get('location')
    if (!location) throw new Error(`the provider answered ${answer.status}: ${await answer.text()}`)
    return new URL(location)
  }

  async #route(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? '/', this.issuer)
    const endpoint = (
      url.pathname === '/.well-known/openid-configuration' ? 'discovery' : url.pathname.slice(1)
    ) as Endpoint
    const params = req.method === 'POST' ? new URLSearchParams(await text(req)) : url.searchParams
    const { authorization } = req.headers
    this.seen.push({ endpoint, params, ...(authorization && { authorization }) })
    const ailment = ailments.find((each) => this.tamper === `${endpoint} ${each}`)
    if (ailment) return ail(ailment, res)
    const cache: Record<string, string> = this.#options.cacheControl
      ? { 'cache-control': this.#options.cacheControl }
      : {}
    switch (endpoint) {
      case 'discovery':
        return void json(res, 200, this.discovery, cache)
      case 'jwks':
        return void json(res, 200, this.publicKeys, cache)
      case 'authorize':
        return this.#authorize(params, res)
      case 'par':
        return this.#push(params, authorization, res)
      case 'token':
        return this.#token(params, authorization, res)
      case 'userinfo':
        return this.#userinfo(authorization, res)
      default:
        return void json(res, 404, { error: 'not_found' })
    }
  }

  #authorize(asked: URLSearchParams, res: ServerResponse): void {
    const pushed = asked.get('request_uri')
    const params = pushed ? this.#pushed.get(pushed) : asked
    const target = params?.get('redirect_uri')
    if (!params || !target || params.get('client_id') !== this.clientId)
      return void json(res, 400, { error: 'invalid_request' })
    const back = new URL(target)
    const answer = back.searchParams
    const state = params.get('state')
    if (this.tamper === 'another state') answer.set('state', randomUUID())
    else if (state && this.tamper !== 'no state') answer.set('state', state)
    if (this.tamper === 'response iss of another') answer.set('iss', 'https://evil.example')
    else if (this.tamper !== 'no response iss') answer.set('iss', this.issuer)
    if (this.tamper?.startsWith('says ')) {
      answer.set('error', this.tamper.slice('says '.length))
      answer.set('error_description', 'as the test wanted')
    } else if (this.tamper !== 'no code') {
      const code = randomUUID()
      this.#grants.set(code, { params, used: false })
      answer.set('code', code)
      if (this.tamper === 'code twice') answer.append('code', randomUUID())
    }
    res.writeHead(302, { location: back.href }).end()
  }

  #authenticated(params: URLSearchParams, authorization: string | undefined): boolean {
    if (authorization?.startsWith('Basic ')) {
      const [id = '', secret = ''] = Buffer.from(authorization.slice(6), 'base64').toString().split(':')
      const decode = (part: string) => decodeURIComponent(part.replaceAll('+', ' '))
      return decode(id) === this.clientId && decode(secret) === this.clientSecret
    }
    return params.get('client_id') === this.clientId && params.get('client_secret') === this.clientSecret
  }

  #push(params: URLSearchParams, authorization: string | undefined, res: ServerResponse): void {
    if (!this.#authenticated(params, authorization)) return void json(res, 401, { error: 'invalid_client' })
    const uri = `urn:ietf:params:oauth:request_uri:${randomUUID()}`
    this.#pushed.set(uri, params)
    json(res, 201, { request_uri: uri, expires_in: 60 })
  }

  async #token(params: URLSearchParams, authorization: string | undefined, res: ServerResponse): Promise<void> {
    if (this.tamper?.startsWith('token says '))
      return void json(res, 400, { error: this.tamper.slice('token says '.length) })
    if (!this.#authenticated(params, authorization)) return void json(res, 401, { error: 'invalid_client' })
    const grant = this.#grants.get(params.get('code') ?? '')
    const challenge = createHash('sha256')
      .update(params.get('code_verifier') ?? '')
      .digest('base64url')
    const right =
      grant &&
      !grant.used &&
      grant.params.get('code_challenge') === challenge &&
      grant.params.get('code_challenge_method') === 'S256' &&
      grant.params.get('redirect_uri') === params.get('redirect_uri')
    if (!right) return void json(res, 400, { error: 'invalid_grant' })
    grant.used = true
    const token = randomUUID()
    this.#tokens.add(token)
    const idToken = await this.#idToken(grant.params)
    json(res, 200, { access_token: token, token_type: 'Bearer', expires_in: 60, ...(idToken && { id_token: idToken }) })
  }

  #honest(asked: URLSearchParams): JWTPayload {
    const now = seconds()
    return {
      iss: this.issuer,
      aud: this.clientId,
      iat: now,
      exp: now + 60,
      nonce: asked.get('nonce') ?? undefined,
      ...(asked.has('max_age') && { auth_time: now }),
      ...this.user,
    }
  }

  async #idToken(asked: URLSearchParams): Promise<string | undefined> {
    const claims = claimsOf(this.#honest(asked), this.tamper)
    const alg = this.#options.alg ?? 'RS256'
    const header = { alg, kid: this.#key.kid }
    switch (this.tamper) {
      case 'no id token':
        return undefined
      case 'id token no JWT':
        return 'surely-not-a-token'
      case 'alg none':
        return new UnsecuredJWT(claims).encode()
      case 'foreign key':
        return new SignJWT(claims).setProtectedHeader(header).sign(this.#foreign.privateKey)
      case 'unknown kid':
        return new SignJWT(claims).setProtectedHeader({ alg, kid: this.#foreign.kid }).sign(this.#foreign.privateKey)
      case 'embedded key':
        return new SignJWT(claims)
          .setProtectedHeader({ alg, jwk: this.#foreign.publicJwk })
          .sign(this.#foreign.privateKey)
      case 'alg HS256 with the public key':
        return new SignJWT(claims)
          .setProtectedHeader({ alg: 'HS256', kid: this.#key.kid })
          .sign(Buffer.from(JSON.stringify(this.#key.publicJwk)))
      default:
    }
    if (alg === 'none') return new UnsecuredJWT(claims).encode()
    const signer = alg === 'HS256' ? Buffer.from(this.clientSecret) : this.#key.privateKey
    const token = await new SignJWT(claims).setProtectedHeader(header).sign(signer)
    return this.tamper === 'signature' ? spoil(token) : token
  }

  #userinfo(authorization: string | undefined, res: ServerResponse): void {
    if (!this.#tokens.has(authorization?.replace(/^Bearer /, '') ?? ''))
      return void res.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end()
    const claims = { ...this.#options.userinfo, sub: this.user.sub }
    if (this.tamper === 'userinfo without sub') return void json(res, 200, { ...claims, sub: undefined })
    json(res, 200, this.tamper === 'userinfo sub' ? { ...claims, sub: 'somebody else' } : claims)
  }
}
