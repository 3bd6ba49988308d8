/** What this room adds to the engine: what its models are given (`Seams`), and the members that they gain. */
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { WayTaken } from '#kernel/ports.ts'
import type { AccessTokenJwts } from './access-tokens.ts'
import type { HookSeams } from './hooks.ts'
import type { Spontaneous } from './spontaneous.ts'
import type { Subjects } from './subjects.ts'

/** The upstream session that a browser session came from. */
export interface Upstream {
  readonly provider: string
  /** Names the sealed record of it. */
  readonly id: string
}

/** What this room adds to the engine's models. */
export interface Seams {
  /** The issuer is https: cookies are Secure whatever the connection to us looks like. */
  readonly secure: boolean
  /** Epoch seconds. */
  now(): number
  /** The session id that one client sees of one browser session; the same however often it is asked. */
  sid(sessionUid: string, clientId: string): string
  /** True for the first use of a client assertion or proof. `exp`: epoch seconds. */
  unique(issuer: string, jti: string, exp: number): Promise<boolean>
  /** Whether a value counts as initial access token without being stored (open registration, one configured token). */
  entersRegistration(value: string): Promise<boolean>
  /** Names of the policies that every registration passes. */
  readonly registrationPolicies: readonly string[]
  /** The acr to report: the requested value when the session satisfies it. */
  acr(ctx: KoaContextWithOIDC, actual: string | undefined): string | undefined
  /** Requests with prompt=none that may travel to a provider which is asked passively too. */
  isPassiveTrip(ctx: object): boolean
  /** The members of an authorization response, with those that Session Management 1.0 adds. */
  respond<R extends object>(ctx: KoaContextWithOIDC, redirectUri: string, members: R): R
  /** Shows the page that posts an authorization response to the relying party (OAuth 2.0 Form Post Response Mode). */
  formPost(ctx: KoaContextWithOIDC, url: string, fields: Readonly<Record<string, string>>, status: number): void
  /** May answer a refresh token that was used a moment ago, `usedAt` epoch seconds; throws then. */
  forgive(value: string, clientId: string | undefined, usedAt: number): Promise<void>
  /** Signs access tokens of clients that get them as JWT, and reads them. */
  readonly jwts: AccessTokenJwts
  readonly hooks: HookSeams
  readonly subjects: Pick<Subjects, 'isMapped' | 'public'>
  /** Whether a hook gives the scope's claims. */
  isDynamicScope(name: string): boolean
  readonly spontaneous: Pick<Spontaneous, 'of' | 'limit'>
}

/** Members that the published types of sessions and tokens leave out. */
export interface SessionExtras {
  upstream?: Upstream | undefined
  /** Every way of signing in that the session stands on. */
  ways?: readonly WayTaken[] | undefined
  /** Epoch seconds at which we signed the person in; `loginTs` is when they authenticated, perhaps at a provider long before. */
  signedInAt?: number | undefined
}
export interface TokenExtras {
  /** The external provider of the sign-in that the token stands for. */
  idp?: string | undefined
  /** Reference of the login that a code came of, where hooks may add to its trace. */
  login?: string | undefined
}
