/**
 * What every upstream protocol implements, one file each. A connector keeps no state between the legs: what it needs to
 * remember is its `memo`, stored with the trip and never shown. Proven by test/contracts/connector.ts.
 */
import type { z } from 'zod'
import type { Clock } from '#kernel/clock.ts'
import type { Identity, Wish } from '#kernel/identity.ts'
import type { IdentityProvider, Mapping } from '#kernel/records/provider.ts'

/** How the browser leaves. */
export type Departure =
  | { readonly go: 'redirect'; readonly url: URL }
  | { readonly go: 'post'; readonly url: URL; readonly fields: Readonly<Record<string, string>> }

/** How it comes back. */
export interface Arrival {
  readonly method: 'GET' | 'POST'
  readonly url: URL
  readonly fields: URLSearchParams
}

/** Whom a provider signed out, as its logout token says: its user, its session, or both. */
export interface Ended {
  readonly uid?: string
  readonly sid?: string
  /** The token's own name, for replays. */
  readonly token: string
}

export interface Connector {
  /** @param trip `state`: unguessable, single use, made by federation; `returnTo`: our callback URL, registered at the provider */
  depart(trip: { state: string; returnTo: URL; wish: Wish }): Promise<{ departure: Departure; memo: unknown }>
  /** Everything returned is verified; otherwise throws Fault `upstream.*` with a `reason` in its detail. */
  arrive(trip: { state: string; returnTo: URL; wish: Wish; memo: unknown }, arrival: Arrival): Promise<Identity>
  /** Where to send the browser to end the provider's session; undefined when the provider has no such place. */
  logout?(
    identity: Pick<Identity, 'uid' | 'sid' | 'idToken'>,
    returnTo: URL,
    state: string,
  ): Promise<Departure | undefined>
  /** Verifies a logout token (Back-Channel Logout 2.6) except for replays; throws Fault `upstream.*`. */
  loggedOut?(token: string): Promise<Ended>
  close?(): Promise<void>
}

export interface World {
  readonly clock: Clock
  /** The guarded outbound client. */
  readonly fetch: typeof globalThis.fetch
}

/** A protocol: its word, its settings' schema (validation, documentation and forms come from it), how to open it. */
export interface ConnectorType<S extends z.ZodType = z.ZodType> {
  readonly protocol: string
  readonly settings: S
  /** Used where the provider names no mapping. */
  readonly defaultMapping: Mapping
  /** Cheap: contacts nobody; discovery happens at the first departure and is cached. */
  open(provider: IdentityProvider, settings: z.output<S>, world: World): Connector
}
