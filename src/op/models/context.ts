/** Cookies, addresses and the reported acr of one request. */
import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { withMarkedToken } from '../access-tokens.ts'
import type { Seams } from '../seams.ts'
import { type Instance, inherited, type Original } from './model.ts'

/** What takes the place of a request that was answered. */
export type Blank = Pick<KoaContextWithOIDC, 'req' | 'res' | 'request' | 'response' | 'cookies'>

export interface Releasing {
  /** Lets go of what it holds of the request (release.ts). */
  release(blank: Blank): void
}

/** Members that lead to more than a few bytes. */
const held = new Set(['entities', 'params', 'claims', 'resourceServers', 'result', 'clientAttestation'])
/** One for all, so nobody may write to it. */
const nothing = Object.freeze({})

interface Overridden {
  body: Record<string, unknown> | undefined
  urlFor(name: string, options?: Record<string, unknown>): string
  promptPending(name: string): boolean
}

export const contextClass = (
  Above: Original<'OIDCContext', Overridden>,
  engine: Provider,
  seams: Pick<Seams, 'secure' | 'spontaneous' | 'isPassiveTrip' | 'acr'>,
) =>
  class OIDCContext extends Above implements Releasing {
    readonly #ctx: KoaContextWithOIDC
    #cookies: Instance<'OIDCContext'>['cookies'] | undefined
    #form: Record<string, unknown> | undefined

    constructor(...given: ConstructorParameters<Provider['OIDCContext']>) {
      super(...given)
      this.#ctx = given[0] as KoaContextWithOIDC
    }

    /** The form of the request, as soon as it was read. */
    override get body(): Record<string, unknown> | undefined {
      return this.#form
    }

    override set body(form: Record<string, unknown> | undefined) {
      this.#form = this.route === 'introspection' || this.route === 'revocation' ? withMarkedToken(form) : form
    }

    override get cookies() {
      const cookies = inherited(Above, 'cookies', this) as Instance<'OIDCContext'>['cookies']
      this.#cookies = cookies
      // A proxy may speak plain http to us; the browser does not.
      return seams.secure ? Object.assign(cookies, { secure: true }) : cookies
    }

    release({ req, res }: Blank): void {
      this.#form = undefined
      if (this.#cookies) Object.assign(this.#cookies, { request: req, response: res })
      for (const name of Object.keys(this)) if (held.has(name)) Reflect.set(this, name, nothing)
      // Absent, as where nobody is signed in.
      if (this.session) Reflect.set(this, 'session', undefined)
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
