/** What each page of views/demo receives. The pages decide nothing: every text and number that they show is made in present.ts. */
import type { DemoPerson } from '../configuration.ts'
import type { Check } from './checks.ts'
import type { Wishes } from './request.ts'
import type { CheckGroup } from './session.ts'

/** Around every page. */
export interface Frame {
  readonly active: 'start' | 'result' | 'session' | 'provider' | 'client' | 'none'
  readonly issuer: string
  readonly clientId: string
  /** The client that this browser registered itself is in use. */
  readonly own: boolean
  readonly signedIn?: string
  readonly notice?: { readonly ok: boolean; readonly sentence: string }
}

/** One name with its value; `block` values are shown on lines of their own. */
export interface Row {
  readonly name: string
  readonly value: string
  readonly block: boolean
  /** What it means, or when. */
  readonly note?: string
}

export interface TokenCard {
  readonly id: string
  readonly title: string
  readonly raw: string
  /** Absent: opaque to this relying party. */
  readonly jwt?: {
    readonly parts: readonly [string, string, string]
    readonly header: readonly Row[]
    readonly payload: readonly Row[]
  }
  readonly note?: string
}

export interface CallCard {
  readonly title: string
  readonly method: string
  readonly url: string
  readonly status: string
  readonly ok: boolean
  /** Time of day and duration. */
  readonly when: string
  readonly sent: string
  readonly received: string
}

export interface Choice {
  readonly value: string
  readonly id: string
  readonly label: string
  readonly checked: boolean
  /** The provider does not advertise it; it can be sent all the same. */
  readonly unadvertised: boolean
}

export interface DemoPages {
  /** `#page-start`: POST to /start. */
  start: {
    frame: Frame
    wishes: Wishes
    types: readonly Choice[]
    modes: readonly Choice[]
    prompts: readonly string[]
    displays: readonly string[]
    acrs: readonly string[]
    scopes: readonly string[]
    ways: readonly { id: string; acr: string; label: string }[]
    hintable: boolean
    people: readonly DemoPerson[]
  }
  /** `#page-result`: what the last response came to, and the buttons that work with its tokens. */
  result: {
    frame: Frame
    login?: {
      ok: boolean
      headline: string
      problem?: string
      facts: readonly Row[]
      groups: readonly (CheckGroup & { failed: number; passed: number })[]
      request: readonly Row[]
      response: readonly Row[]
      tokens: readonly TokenCard[]
    }
    outcome?: {
      title: string
      ok: boolean
      sentence: string
      checks: readonly Check[]
      claims: readonly Row[]
      data?: string
    }
    buttons: readonly {
      legend: string
      buttons: readonly { id: string; action: string; label: string; off: boolean }[]
    }[]
    canLogOut: boolean
    calls: readonly CallCard[]
  }
  /** `#page-provider`: the discovery document. */
  provider: {
    frame: Frame
    problem?: string
    endpoints: readonly Row[]
    abilities: readonly Row[]
    document: string
    keys: readonly { kid: string; kty: string; alg: string; use: string }[]
  }
  /** `#page-session`: `#session-status` says what the provider's frame answers; one article per notice, the newest first. */
  session: {
    frame: Frame
    /** Absent: there is nothing to watch, for this reason. */
    watch?: { frame: string; clientId: string; sessionState: string; rows: readonly Row[] }
    reason?: string
    notices: readonly {
      channel: 'back' | 'front'
      ok: boolean
      when: string
      sentence: string
      claims: readonly Row[]
    }[]
  }
  /** `#page-client`: registration and its management. */
  client: {
    frame: Frame
    registered?: { clientId: string; rows: readonly Row[]; manageable: boolean }
    configured: { clientId: string; rows: readonly Row[] }
    text: string
    calls: readonly CallCard[]
  }
  /** `#page-fragment`: hands the fragment, which only the browser sees, to the server. */
  fragment: { frame: Frame }
  /** `#page-logged-out`. */
  'logged-out': { frame: Frame; check?: Check }
}
