/** What each page of views/ receives. A page with a missing or misspelt local does not type-check. Every `action` is a same-site path. */

/** The relying party as a person sees it; shown on login and consent pages (OIDC Registration 2). */
export interface ClientCard {
  readonly name: string
  readonly logo?: string
  readonly home?: string
  readonly policy?: string
  readonly terms?: string
}

/** Of registration metadata, by the names of OIDC Registration 2. */
export const cardOf = (client: {
  readonly client_id?: string | undefined
  readonly client_name?: string | undefined
  readonly logo_uri?: string | undefined
  readonly client_uri?: string | undefined
  readonly policy_uri?: string | undefined
  readonly tos_uri?: string | undefined
}): ClientCard => ({
  name: client.client_name ?? client.client_id ?? '',
  ...(client.logo_uri && { logo: client.logo_uri }),
  ...(client.client_uri && { home: client.client_uri }),
  ...(client.policy_uri && { policy: client.policy_uri }),
  ...(client.tos_uri && { terms: client.tos_uri }),
})

export interface ProviderButton {
  readonly id: string
  readonly displayName: string
  readonly logo?: string
}

/** A way on from a page that cannot continue. */
export interface WayOn {
  readonly href: string
  /** Message key of the link's text. */
  readonly label: 'way.restart' | 'way.application' | 'way.continue' | 'way.home'
}

export interface Pages {
  /** `#page-login`: POST username, password to `action`; `#cancel` submits to `cancel`. */
  login: {
    client: ClientCard
    action: string
    cancel: string
    username?: string
    fault?: string
    choose?: string
    method: string
  }
  /** `#page-otp`: POST `code` (a recovery code too) to `action`; `account` is known, else `username` is asked. */
  otp: {
    client: ClientCard
    action: string
    cancel: string
    account?: string
    username?: string
    choose?: string
    fault?: string
  }
  /** `#page-otp-setup`: the secret as a picture and as text, POST `code` to `action`; `#keep` POSTs to `keep`. */
  'otp-setup': {
    client: ClientCard
    account: string
    action: string
    cancel: string
    /** `secret` in base 32, `uri` for the app on this device, `picture` as data URL. */
    setup: { secret: string; uri: string; picture: string }
    keep?: string
    fault?: string
  }
  /** `#page-otp-codes`: recovery codes, shown once; POST to `action` when they are written down. */
  'otp-codes': { client: ClientCard; action: string; codes: readonly string[] }
  /** `#page-choose`: one form per provider (POST `provider=<id>`), a link per local method, an e-mail form when asked for. `waiting`: left for this provider already. */
  choose: {
    client: ClientCard
    action: string
    cancel: string
    providers: readonly ProviderButton[]
    methods: readonly { id: string; href: string }[]
    email?: { action: string; value?: string }
    waiting?: string
    fault?: string
  }
  /** `#page-identify`: the e-mail field alone first (`discovery.emailFirst`). */
  identify: { client: ClientCard; action: string; cancel: string; email?: string; fault?: string }
  /** `#page-consent`: POST; checkboxes `scope` (values to allow) for optional scopes; `#allow`, `#deny`. */
  consent: {
    client: ClientCard
    account: { name: string }
    action: string
    cancel: string
    /** `declined`: the person said no to it before. */
    scopes: readonly {
      name: string
      displayName: string
      description?: string
      required: boolean
      declined?: boolean
    }[]
    claims: readonly { name: string; displayName: string }[]
    offline: boolean
  }
  /** `#page-email`: a newcomer's address, once (CONTRACT 7). */
  email: { client: ClientCard; action: string; cancel: string; email?: string; fault?: string }
  /** `#page-logout`: POSTs `xsrf` and `logout=yes` to `action`; `#logout-no` omits logout. */
  logout: { client?: ClientCard; action: string; xsrf: string }
  /** `#page-logged-out`. */
  'logged-out': { client?: ClientCard }
  /** `#page-frontchannel-logout`: one frame per application; goes on to `next` when all have loaded or after `wait` seconds. */
  'frontchannel-logout': { frames: readonly { url: string; client: string }[]; next: string; wait: number }
  /** `#page-session-check`: the check_session_iframe; `cookie` is the name of the one that it looks at. */
  'session-check': { cookie: string }
  /** `#page-error`: `<code id="error">`, `<code id="reference">`, one sentence, ways on. */
  error: {
    /** What is on top where "this did not work" would be wrong. */
    title?: string
    code: string
    sentence: string
    reference: string
    ways: readonly WayOn[]
    client?: ClientCard
    /** What the specification's error_description says, for the application's developer; English. */
    detail?: string
  }
  /**
   * A page that submits itself, with a button for those without JavaScript: to a provider (SAML POST and the like), or
   * with the answer to the relying party (`client`, response_mode=form_post).
   */
  'auto-post': { url: string; fields: Readonly<Record<string, string>>; to: string; client?: ClientCard }
  /** The issuer's own front page: what this is, where discovery is. */
  home: { issuer: string; demo?: { client: string; username: string; password: string } }
}
export type PageName = keyof Pages
