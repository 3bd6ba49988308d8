/**
 * JWT access tokens, per client (RFC 9068, ENGINE 7). A person's token is stored as an opaque one is, and what the client
 * gets is a signed wrapper that names it: so it is good at userinfo, introspection and revocation, bound by DPoP, and
 * dead as soon as its grant is. The bare name of a wrapped token, which every API sees as `jti`, opens nothing.
 * A client's own token depends on nothing that is stored, so that it is its own record; only its revocation is kept.
 */
import { CompactSign, type CryptoKey, decodeJwt, importJWK, type JWK, type JWTPayload, jwtVerify } from 'jose'
import Provider, { type Client } from 'oidc-provider'
import type { Box } from '#artifacts/box.ts'
import { mayBe } from '#artifacts/ids.ts'
import type { SigningKey } from '#directory/records.ts'
import { type Clock, epochSeconds } from '#kernel/clock.ts'
import type { ScopedToken } from './spontaneous.ts'

const TYPE = 'at+jwt'
/** Longer values are none of ours. */
const LONGEST = 16_384
/** Kept in front of a JWT at introspection and revocation, whose endpoints refuse what looks like one. */
const MARK = 'jwt:'
const REVOKED = 'RevokedToken'

/** What is stored of a token. */
interface Payload {
  readonly iat: number
  readonly exp: number
  readonly accountId?: string
  readonly aud?: string
  readonly scope?: string
  readonly jkt?: string
  readonly 'x5t#S256'?: string
  readonly extra?: Readonly<Record<string, unknown>>
}

/** A token in the making. */
export interface Wrappable {
  readonly kind: string
  readonly clientId?: string | undefined
  readonly client?: Client | undefined
  readonly tokenType: string
  readonly resourceServer?: { readonly jwt?: { readonly sign?: { readonly alg?: string } } } | undefined
  asJwt?: boolean | undefined
}

export interface AccessTokenJwts {
  /** Whether a token is handed out as JWT. */
  wraps(token: Wrappable): boolean
  /** @param handle the value under which the token is stored */
  sign(token: Wrappable, payload: Payload, handle: string): Promise<string>
  /** The claims of a value that we signed, of this kind, not expired. Undefined for everything else. */
  read(kind: string, value: string): Promise<Claims | undefined>
  /** Ends a token that is its own record. `exp`: epoch seconds. */
  revoke(jti: string, exp: number): Promise<void>
  isRevoked(jti: string): Promise<boolean>
}

type Claims = JWTPayload & { readonly jti: string }

interface Signed {
  readonly acr?: unknown
  readonly amr?: unknown
  readonly authTime?: unknown
}

/** RFC 9068 2.2.1: how the person signed in once, whatever happened to their session since. */
export const signInOf = (): Signed => {
  const request = Provider.ctx?.oidc
  const { AuthorizationCode, RotatedRefreshToken, RefreshToken } = request?.entities ?? {}
  const source = AuthorizationCode ?? RotatedRefreshToken ?? RefreshToken
  if (source) return source as Signed
  // Without a session there is no acr to ask for.
  return request?.session?.accountId === undefined
    ? {}
    : { acr: request.acr, amr: request.amr, authTime: request.session.authTime() }
}

/**
 * @param given `keys`: all that are published, the active one of an algorithm first; `subject`: the `sub` that the client
 * sees of an account; `algorithm` where neither client nor resource names one
 */
export const createAccessTokenJwts = (given: {
  readonly issuer: string
  readonly keys: readonly SigningKey[]
  readonly algorithm: string
  readonly clock: Clock
  readonly subject: (client: Client, accountId: string) => string | Promise<string>
  readonly box: Pick<Box, 'put' | 'get'>
}): AccessTokenJwts => {
  const { issuer, keys, clock, box } = given
  const imported = new Map<string, Promise<CryptoKey>>()
  const keyOf = ({ jwk, kid, alg }: SigningKey, isPublic: boolean): Promise<CryptoKey> => {
    const name = `${kid} ${isPublic}`
    const known = imported.get(name)
    if (known) return known
    const { d: _, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...open } = jwk
    const making = importJWK((isPublic ? open : jwk) as JWK, alg) as Promise<CryptoKey>
    imported.set(name, making)
    return making
  }
  const algorithms = [...new Set(keys.map(({ alg }) => alg))]

  const claimsOf = async (token: Wrappable, payload: Payload) => {
    const { client } = token
    if (!client) throw new TypeError('an access token has no client')
    const { accountId, aud, scope, jkt, 'x5t#S256': x5t, extra } = payload
    const { acr, amr, authTime } = accountId === undefined ? {} : signInOf()
    const bound = { ...(jkt !== undefined && { jkt }), ...(x5t !== undefined && { 'x5t#S256': x5t }) }
    const standard = {
      iss: issuer,
      sub: accountId === undefined ? client.clientId : await given.subject(client, accountId),
      // RFC 9068 3: a token that no resource was named for is for whom the client's record names, else for ourselves.
      aud: aud ?? (client.access_token_audience as string | undefined) ?? issuer,
      client_id: client.clientId,
      token_type: token.tokenType,
      scope,
      auth_time: authTime,
      acr,
      amr,
      cnf: jkt === undefined && x5t === undefined ? undefined : bound,
      nbf: undefined,
    }
    // What is absent here must not come in by the extra claims either: undefined members are not written.
    return { ...extra, ...standard } as JWTPayload
  }

  const algorithmFor = ({ client, resourceServer }: Wrappable): string => {
    const wanted = resourceServer?.jwt?.sign?.alg ?? client?.access_token_signing_alg
    return typeof wanted === 'string' && algorithms.includes(wanted) ? wanted : given.algorithm
  }

  return {
    wraps: ({ client, resourceServer }) =>
      resourceServer ? resourceServer.jwt !== undefined : client?.access_token_as_jwt === true,
    async sign(token, payload, handle) {
      const alg = algorithmFor(token)
      const key = keys.find((each) => each.alg === alg)
      if (!key) throw new TypeError(`there is no key for ${alg}`)
      const { iat, exp } = payload
      const claims = { ...(await claimsOf(token, payload)), iat, exp, jti: handle }
      // Not SignJWT, which clones the claims before it writes them.
      return new CompactSign(Buffer.from(JSON.stringify(claims)))
        .setProtectedHeader({ alg, typ: TYPE, kid: key.kid })
        .sign(await keyOf(key, false))
    },
    async read(kind, value) {
      if (value.length > LONGEST) return undefined
      try {
        // Before the signature: introspection asks for each kind, and only one of them can be meant.
        if (!mayBe(kind, String(decodeJwt(value).jti))) return undefined
        const { payload } = await jwtVerify(
          value,
          ({ kid, alg }) => {
            const key = keys.find((each) => each.kid === kid && each.alg === alg)
            if (!key) throw new TypeError('signed by nobody here')
            return keyOf(key, true)
          },
          { algorithms, issuer, typ: TYPE, requiredClaims: ['jti', 'exp'], currentDate: new Date(clock.now()) },
        )
        return payload as Claims
      } catch {
        // Whatever is wrong with it, it is no token of ours.
        return undefined
      }
    },
    async revoke(jti, exp) {
      await box.put(REVOKED, jti, true, { ttl: Math.max(1, exp - epochSeconds(clock)) })
    },
    isRevoked: async (jti) => (await box.get(REVOKED, jti)) !== undefined,
  }
}

/** RFC 9068 2.2, and what we add: everything else in a token is an extra claim. */
const fromClaims = ({ jti, iat, exp, aud, scope, client_id, cnf, ...rest }: Claims) => {
  const { iss: _iss, sub: _sub, token_type: _type, ...extra } = rest
  const bound = (cnf ?? {}) as Record<string, string>
  return { jti, iat, exp, aud, scope, clientId: client_id, extra, asJwt: true, ...bound }
}

/** A form as introspection and revocation read it, with a JWT marked so that it is looked up like any other token. */
export const withMarkedToken = <F>(form: F): F => {
  const { token } = (form ?? {}) as { token?: unknown }
  return typeof token === 'string' && token.startsWith('eyJ') && token.includes('.')
    ? { ...form, token: MARK + token }
    : form
}

const jwtIn = (value: unknown): string | undefined => {
  if (typeof value !== 'string') return undefined
  const bare = value.startsWith(MARK) ? value.slice(MARK.length) : value
  return bare.includes('.') ? bare : undefined
}

interface Model extends Wrappable {
  readonly jti: string
  readonly exp?: number
  getValueAndPayload(): Promise<{ value: string; payload?: Payload | undefined }>
  destroy(): Promise<void>
}
type ModelClass = new (payload: object) => Model
type Find = (value: unknown, ...more: unknown[]) => Promise<Model | undefined>

/**
 * A model of access tokens whose tokens may be handed out as JWT.
 * @param Above the engine's own; the class keeps its name, which is the model's
 * @param limit has its say about scope and lifetime of a token that is about to be issued
 */
export const wrapping = <C>(Above: C, jwts: AccessTokenJwts, limit: (token: ScopedToken) => Promise<void>): C => {
  const Base = Above as unknown as ModelClass & { find: Find; IN_PAYLOAD: string[]; name: string }
  const isOwnRecord = Base.name === 'ClientCredentials'
  class Wrapping extends Base {
    static override get IN_PAYLOAD(): string[] {
      return [...Base.IN_PAYLOAD, 'asJwt']
    }

    static override async find(value: unknown, ...more: unknown[]): Promise<Model | undefined> {
      const jwt = jwtIn(value)
      const claims = jwt === undefined ? undefined : await jwts.read(Wrapping.name, jwt)
      if (jwt !== undefined && !claims) return undefined
      if (claims && isOwnRecord)
        return (await jwts.isRevoked(claims.jti)) ? undefined : new Wrapping(fromClaims(claims))
      const token = await Base.find.call(Wrapping, claims?.jti ?? value, ...more)
      return (token?.asJwt === true) === (jwt !== undefined) ? token : undefined
    }

    override async getValueAndPayload(): Promise<{ value: string; payload?: Payload | undefined }> {
      await limit(this as unknown as ScopedToken)
      if (jwts.wraps(this)) this.asJwt = true
      const { value, payload } = await super.getValueAndPayload()
      if (!this.asJwt || !payload) return { value, payload }
      const signed = await jwts.sign(this, payload, value)
      // Without a payload nothing is stored.
      return isOwnRecord ? { value: signed } : { value: signed, payload }
    }

    override async destroy(): Promise<void> {
      if (isOwnRecord && this.asJwt) await jwts.revoke(this.jti, this.exp ?? 0)
      else await super.destroy()
    }
  }
  Object.defineProperty(Wrapping, 'name', { value: Base.name })
  return Wrapping as unknown as C
}
