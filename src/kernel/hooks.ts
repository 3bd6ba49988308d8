/**
 * Hooks: the closed list of places where a deployment adds code of its own (docs/hooks.md). A hook file takes its types
 * from here by `import type { Hooks } from 'gatehouse/hooks'`, which leaves nothing behind at run time:
 *
 *     export default { claims: (claims, { account }) => ({ ...claims, level: account.roles.length }) } satisfies Hooks
 *
 * A handler gets a value, passes it on changed or unchanged (by answering nothing), or refuses. What is `given` beside the
 * value is only shown. Everything is a copy: changing it in place changes nothing.
 */

type Members = Record<string, unknown>

/** The account as far as hooks may know it. */
export interface HookAccount {
  readonly id: string
  readonly username: string
  readonly email?: string | undefined
  readonly email_verified: boolean
  readonly claims: Readonly<Members>
  readonly roles: readonly string[]
}

/** A client's metadata under their registered names, without its secret. */
export type HookClient = Readonly<Members> & { readonly client_id: string }

/** What is known of the running sign-in or of the consent asked for. */
export interface ConsentAnswer {
  /** `allow`: everything that was asked for, without a page. */
  readonly decision: 'ask' | 'allow'
}

/** Nothing yet that a login hook could change: it refuses, or lets pass. */
export type LoginAnswer = Record<string, never>

/** Every point with the value that passes through its handlers, and what is shown beside it. */
export interface HookPoints {
  /** Dynamic registration, after the built-in rules: the metadata to register. Refusing answers `invalid_client_metadata`. */
  registration: {
    value: Members
    given: {
      readonly operation: 'create' | 'update'
      /** The record as it stands, of an update. */
      readonly client?: HookClient | undefined
      /** Where the request came from. */
      readonly address: string
      /** The claims of a software statement whose signature was verified. */
      readonly softwareStatement?: Readonly<Members> | undefined
    }
  }
  /** Claims of the granted scopes of type `dynamic`, for ID token or userinfo. */
  dynamicScopes: {
    value: Members
    given: {
      readonly scopes: readonly string[]
      readonly use: 'id_token' | 'userinfo'
      readonly client: HookClient
      readonly account: HookAccount
    }
  }
  /** Requested scopes that match one of the client's `spontaneous_scopes`: those that may exist. */
  spontaneousScopes: {
    value: string[]
    given: { readonly client: HookClient; readonly account?: HookAccount | undefined }
  }
  /** All claims of an ID token or of userinfo that the account releases, before protocol claims are added. */
  claims: {
    value: Members
    given: {
      readonly use: 'id_token' | 'userinfo'
      readonly scopes: readonly string[]
      readonly client: HookClient
      readonly account: HookAccount
    }
  }
  /** Extra claims of an access token when it is issued: in a JWT, and at introspection of every kind. */
  accessToken: {
    value: Members
    given: {
      readonly kind: 'AccessToken' | 'ClientCredentials'
      readonly scopes: readonly string[]
      readonly audience?: string | readonly string[] | undefined
      readonly client: HookClient
      readonly account?: HookAccount | undefined
    }
  }
  /** Extra members of an introspection answer, when it is asked for; those of RFC 7662 cannot be changed. */
  introspection: {
    value: Members
    given: {
      readonly kind: string
      readonly scopes: readonly string[]
      /** Who asks. */
      readonly asking: HookClient
      /** Whose token it is. */
      readonly client: HookClient
      readonly account?: HookAccount | undefined
    }
  }
  /** Before the consent page. Refusing answers `access_denied`. */
  consent: {
    value: ConsentAnswer
    given: {
      readonly scopes: readonly string[]
      readonly claims: readonly string[]
      readonly client: HookClient
      readonly account: HookAccount
    }
  }
  /** When a person has proved who they are, before the session begins. Refusing answers `access_denied`. */
  login: {
    value: LoginAnswer
    given: {
      readonly acr: string
      readonly amr: readonly string[]
      /** The external provider, where one was used. */
      readonly provider?: string | undefined
      readonly address: string
      readonly client: HookClient
      readonly account: HookAccount
    }
  }
}

export type HookName = keyof HookPoints
export type HookValue<P extends HookName> = HookPoints[P]['value']
export type HookGiven<P extends HookName> = HookPoints[P]['given']

/** What every handler has besides. */
export interface HookTools {
  /** One line of the log; it lands in the login's trace too. `console` does the same. */
  log(text: string, facts?: Readonly<Members>): void
  /** Ends the matter. The reason reaches the relying party. */
  refuse(reason: string): never
  /** Aborts when the time is over. */
  readonly signal: AbortSignal
}

/** What a handler may answer: the value for the next one; nothing leaves it as it is. */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler without a return statement is one that changes nothing
type Answer<T> = T | undefined | void

export type HookHandler<P extends HookName> = (
  value: HookValue<P>,
  given: HookGiven<P>,
  tools: HookTools,
) => Answer<HookValue<P>> | Promise<Answer<HookValue<P>>>

/** The default export of a hook file. */
export type Hooks = { readonly [P in HookName]?: HookHandler<P> }

/** What rooms see of the hooks. */
export interface HookRunner {
  /** Whether any file has a handler for it: where none has, nothing need be prepared. */
  has(point: HookName): boolean
  /**
   * Passes a value through every handler.
   * @param reference the login's, for the trace
   * @throws Fault `hook.refused` with `reason`, `hook.failed` when a handler throws, hangs or answers nonsense
   */
  run<P extends HookName>(point: P, value: HookValue<P>, given: HookGiven<P>, reference?: string): Promise<HookValue<P>>
}

export const noHooks: HookRunner = { has: () => false, run: async (_point, value) => value }
