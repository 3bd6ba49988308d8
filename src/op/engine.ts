/**
 * oidc-provider with our seams, all on its public surface: models and contexts are replaced by subclasses of the same
 * name (the name is the adapter's model and the payload's kind). ENGINE.md 0 and 14 say why each is as it is; the
 * contract tests in test/engine guard them on every upgrade.
 */
import Provider, { type Configuration, type KoaContextWithOIDC } from 'oidc-provider'
import type { WayTaken } from '#kernel/ports.ts'
import { type AccessTokenJwts, withMarkedToken, wrapping } from './access-tokens.ts'
import { ASKED, type Asked, type HookSeams } from './hooks.ts'
import { endLateReplay } from './late-codes.ts'
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

type Instance<K extends Model | 'Client'> = InstanceType<Provider[K]>
interface ContextMethods {
  body: Record<string, unknown> | undefined
  urlFor(name: string, options?: Record<string, unknown>): string
  promptPending(name: string): boolean
}
interface ClaimsMethods {
  readonly ctx: KoaContextWithOIDC | undefined
  readonly client: Instance<'Client'>
  readonly available: Record<string | symbol, unknown>
  scope(value?: string): this
  result(): Promise<Record<string, unknown>>
}
interface SessionMethods extends SessionExtras {
  ensureClientContainer(clientId: string): void
  loginAccount(details: Parameters<Instance<'Session'>['loginAccount']>[0]): void
}

type Class = abstract new (...given: never[]) => object
/**
 * A class whose members may be overridden by accessors: a mapped type has plain properties where the class declares them
 * (TS2611). `Own` declares again what is overridden by methods (TS2425), and what the published types leave out.
 */
type Opened<C extends Class, Own = object> = (new (
  ...given: ConstructorParameters<C>
) => { [K in Exclude<keyof InstanceType<C>, keyof Own>]: InstanceType<C>[K] } & Own) & {
  [K in Exclude<keyof C, 'prototype'>]: C[K]
}

type ResponseMode = Parameters<Provider['registerResponseMode']>[1]
interface ProviderMethods {
  registerResponseMode(name: string, handler: ResponseMode): void
}

type Model =
  | 'OIDCContext'
  | 'Session'
  | 'AuthorizationCode'
  | 'AccessToken'
  | 'ClientCredentials'
  | 'Claims'
  | 'RefreshToken'
  | 'ReplayDetection'
  | 'InitialAccessToken'

const Base = Provider as unknown as Opened<typeof Provider, ProviderMethods>

/** The engine's own class of a model, open to overriding. */
const original = <K extends Model, Own = object>(engine: object, name: K): Opened<Provider[K], Own> =>
  Reflect.get(Provider.prototype, name, engine) as unknown as Opened<Provider[K], Own>

/** What the class above answers for a member that was overridden. */
const inherited = (above: object, name: string, self: object): unknown =>
  Reflect.get(Reflect.get(above, 'prototype') as object, name, self)

const withPayload = (above: object, name: string): string[] => [...(Reflect.get(above, 'IN_PAYLOAD') as string[]), name]

const replaced = new WeakMap<object, Map<Model, unknown>>()

/** One class per engine and model: the adapter of a model is found by its class. */
const once = <K extends Model>(engine: object, name: K, make: () => unknown): Provider[K] => {
  const classes = replaced.get(engine) ?? new Map<Model, unknown>()
  replaced.set(engine, classes)
  if (!classes.has(name)) classes.set(name, make())
  return classes.get(name) as Provider[K]
}

/** How the running request's person signed in, while the engine makes a token of it. */
const running = () => Provider.ctx?.oidc

type Payload = Parameters<ResponseMode>[2]

/** The members of a response that are there, as a form carries them. */
const present = (payload: Payload): Record<string, string> =>
  Object.fromEntries(
    Object.entries(payload)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, String(value)]),
  )

/** The page's own status, as the engine has it. */
const statusOf = (payload: Payload): number => ('error' in payload ? 400 : 200)

const signed = (engine: Provider, ctx: KoaContextWithOIDC, payload: Payload): Promise<string> => {
  const token = new engine.IdToken({}, { ctx })
  for (const [name, value] of Object.entries(payload)) token.set(name, value)
  return token.issue({ use: 'authorization' })
}

/** The engine gives the account's id for a public subject; here it becomes the one that the deployment chose. */
const withPublicSubject = async (
  { subjects }: Pick<Seams, 'subjects'>,
  client: Instance<'Client'>,
  asked: boolean,
  claims: Record<string, unknown>,
): Promise<Record<string, unknown>> => {
  if (!subjects.isMapped || typeof claims.sub !== 'string' || client.subjectType === 'pairwise') return claims
  try {
    return { ...claims, sub: await subjects.public(claims.sub) }
  } catch (error) {
    if (asked) throw error
    // A logout token for an account that is gone: the client knows the session by its sid (Back-Channel Logout 2.4).
    const { sub: _, ...rest } = claims
    return rest
  }
}

export class Engine extends Base {
  readonly #seams: Seams

  constructor(issuer: string, configuration: Configuration, seams: Seams) {
    super(issuer, configuration)
    this.#seams = seams
  }

  /**
   * Every response, success and error, passes its mode's handler; the events know of successes only (ENGINE 1). The
   * engine's own form is bare HTML with an inline script, so that ours takes its place.
   * The constructor above calls this before our own fields exist.
   */
  override registerResponseMode(name: string, handler: ResponseMode): void {
    const post: ResponseMode = (ctx, url, payload) =>
      this.#seams.formPost(ctx, url, present(payload), statusOf(payload))
    // JARM 2.3.3: the same form with everything signed in one field.
    const postSigned: ResponseMode = async (ctx, url, payload) =>
      this.#seams.formPost(ctx, url, { response: await signed(this, ctx, payload) }, statusOf(payload))
    const ours = new Map([
      ['form_post', post],
      ['form_post.jwt', postSigned],
    ])
    const answer = ours.get(name) ?? handler
    super.registerResponseMode(name, function (this: Provider, ctx, redirectUri, members) {
      const seams = (this as unknown as Engine).#seams
      return answer.call(this, ctx, redirectUri, seams.respond(ctx, redirectUri, members))
    } as ResponseMode)
  }

  /** Cookies, addresses and the reported acr of one request. */
  override get OIDCContext(): Provider['OIDCContext'] {
    const seams = this.#seams
    return once(this, 'OIDCContext', () => {
      const engine = this
      const Above = original<'OIDCContext', ContextMethods>(this, 'OIDCContext')
      return class OIDCContext extends Above {
        readonly #ctx: KoaContextWithOIDC

        constructor(...given: ConstructorParameters<Provider['OIDCContext']>) {
          super(...given)
          this.#ctx = given[0] as KoaContextWithOIDC
        }

        #form: Record<string, unknown> | undefined

        /** The form of the request, as soon as it was read. */
        override get body(): Record<string, unknown> | undefined {
          return this.#form
        }

        override set body(form: Record<string, unknown> | undefined) {
          this.#form = this.route === 'introspection' || this.route === 'revocation' ? withMarkedToken(form) : form
        }

        override get cookies() {
          const cookies = inherited(Above, 'cookies', this) as Instance<'OIDCContext'>['cookies']
          // A proxy may speak plain http to us; the browser does not.
          return seams.secure ? Object.assign(cookies, { secure: true }) : cookies
        }

        /** DESIGN 3.19: addresses follow the issuer, never the Host header. */
        override urlFor(name: string, options?: Record<string, unknown>): string {
          return engine.urlFor(name, options)
        }

        /** ENGINE 6: scopes that exist for this client only are as good as configured ones. */
        override get requestParamOIDCScopes(): Set<string> {
          const scopes = inherited(Above, 'requestParamOIDCScopes', this) as Set<string>
          for (const scope of seams.spontaneous.of(this.#ctx)) scopes.add(scope)
          return scopes
        }

        override promptPending(name: string): boolean {
          if (name === 'none' && this.route === 'authorization' && seams.isPassiveTrip(this.#ctx)) return false
          return super.promptPending(name)
        }

        override get acr(): string {
          // Typed as always present; it is absent while nobody is signed in.
          return seams.acr(this.#ctx, inherited(Above, 'acr', this) as string | undefined) as string
        }
      }
    })
  }

  /** Sessions know where the person came from, and name each client's view of them by a value that does not change. */
  override get Session(): Provider['Session'] {
    const seams = this.#seams
    return once(this, 'Session', () => {
      const Above = original<'Session', SessionMethods>(this, 'Session')
      return class Session extends Above {
        static override get IN_PAYLOAD() {
          return [...withPayload(Above, 'upstream'), 'ways', 'signedInAt']
        }

        /** ENGINE 13: parallel first requests of one client must see the same sid. */
        override ensureClientContainer(clientId: string): void {
          if (!this.sidFor(clientId)) this.sidFor(clientId, seams.sid(this.uid, clientId))
        }

        override loginAccount(details: Parameters<Instance<'Session'>['loginAccount']>[0]): void {
          // Each further prompt of a request hands the same login in again.
          const same = this.accountId === details.accountId && this.loginTs === details.loginTs
          if (!same || this.signedInAt === undefined) this.signedInAt = seams.now()
          super.loginAccount(details)
          const result = running()?.entities.Interaction?.result as Pick<SessionExtras, 'upstream' | 'ways'> | undefined
          this.ways = result?.ways
          this.upstream = result?.upstream
        }
      }
    })
  }

  /** Hooks have their say about the claims that are sent. */
  override get Claims(): Provider['Claims'] {
    const seams = this.#seams
    return once(this, 'Claims', () => {
      const Above = original<'Claims', ClaimsMethods>(this, 'Claims')
      return class Claims extends Above {
        #scopes: readonly string[] = []

        override scope(value?: string) {
          this.#scopes = value?.split(' ') ?? []
          return super.scope(value)
        }

        override async result() {
          const { ctx, client, available } = this
          const asked = available[ASKED] as Asked | undefined
          const claims = await withPublicSubject(seams, client, ctx !== undefined, await super.result())
          const dynamic = this.#scopes.filter((name) => seams.isDynamicScope(name))
          const all = dynamic.length > 0 ? await seams.hooks.dynamicScopes(ctx, client, asked, dynamic, claims) : claims
          return seams.hooks.claims(ctx, client, asked, this.#scopes, all)
        }
      }
    })
  }

  override get AuthorizationCode(): Provider['AuthorizationCode'] {
    const seams = this.#seams
    return once(this, 'AuthorizationCode', () => {
      const engine = this
      const Above = original<'AuthorizationCode', TokenExtras>(this, 'AuthorizationCode')
      return class AuthorizationCode extends Above {
        constructor(...given: ConstructorParameters<Provider['AuthorizationCode']>) {
          super(...given)
          if (this.jti) return
          this.idp = (running()?.session as SessionExtras | undefined)?.upstream?.provider
          this.login = seams.hooks.login()
        }

        static override get IN_PAYLOAD() {
          return [...withPayload(Above, 'idp'), 'login']
        }

        static override async find<T>(...given: [string, object?]): Promise<T | undefined> {
          const find = Reflect.get(Above, 'find') as (...given: unknown[]) => Promise<T | undefined>
          const code = await find.apply(AuthorizationCode, given)
          await endLateReplay(engine, code as InstanceType<Provider['AuthorizationCode']> | undefined)
          return code
        }
      }
    })
  }

  override get AccessToken(): Provider['AccessToken'] {
    return once(this, 'AccessToken', () =>
      wrapping(original(this, 'AccessToken'), this.#seams.jwts, this.#seams.spontaneous.limit),
    )
  }

  override get ClientCredentials(): Provider['ClientCredentials'] {
    return once(this, 'ClientCredentials', () =>
      wrapping(original(this, 'ClientCredentials'), this.#seams.jwts, this.#seams.spontaneous.limit),
    )
  }

  override get RefreshToken(): Provider['RefreshToken'] {
    const seams = this.#seams
    return once(this, 'RefreshToken', () => {
      const Above = original<'RefreshToken', TokenExtras>(this, 'RefreshToken')
      return class RefreshToken extends Above {
        constructor(...given: ConstructorParameters<Provider['RefreshToken']>) {
          super(...given)
          const entities = running()?.entities
          const source = entities?.RotatedRefreshToken ?? entities?.AuthorizationCode
          if (!this.jti) this.idp = (source as TokenExtras | undefined)?.idp
        }

        static override get IN_PAYLOAD() {
          return withPayload(Above, 'idp')
        }

        static override async find<T>(...given: [string, object?]): Promise<T | undefined> {
          const find = Reflect.get(Above, 'find') as (...given: unknown[]) => Promise<T | undefined>
          const token = await find.apply(RefreshToken, given)
          const { consumed, clientId, jkt } = (token ?? {}) as { consumed?: number; clientId?: string; jkt?: string }
          // A bound token was not proved yet at this point, so it is not forgiven.
          if (consumed && !jkt && running()?.route === 'token') await seams.forgive(given[0], clientId, consumed)
          return token
        }
      }
    })
  }

  /** The original looks first and saves then: parallel uses of one assertion would all pass (HAZARDS 1). */
  override get ReplayDetection(): Provider['ReplayDetection'] {
    const seams = this.#seams
    return once(this, 'ReplayDetection', () => {
      const Above = original(this, 'ReplayDetection')
      return class ReplayDetection extends Above {
        static override unique(issuer: string, jti: string, exp: number): Promise<boolean> {
          return seams.unique(issuer, jti, exp)
        }
      }
    })
  }

  /** Policies see registrations only behind an initial access token (ENGINE 5): open registration has one of ours. */
  override get InitialAccessToken(): Provider['InitialAccessToken'] {
    const seams = this.#seams
    return once(this, 'InitialAccessToken', () => {
      const Above = original(this, 'InitialAccessToken')
      return class InitialAccessToken extends Above {
        static override async find<T>(...given: [string, object?]): Promise<T | undefined> {
          if (await seams.entersRegistration(given[0]))
            return new InitialAccessToken({ policies: [...seams.registrationPolicies] }) as T
          const find = Reflect.get(Above, 'find') as (...given: unknown[]) => Promise<T | undefined>
          return find.apply(InitialAccessToken, given)
        }
      }
    })
  }
}
