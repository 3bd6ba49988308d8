/** What comes back from an external identity provider, verified; shared by connectors, federation and hooks. */
export interface Identity {
  /** The provider's own user id, exactly as given (CONTRACT 7). */
  readonly uid: string
  /** Everything the provider sent, unmodified: ID token and userinfo merged as CONTRACT 6 says. */
  readonly claims: Readonly<Record<string, unknown>>
  readonly acr?: string
  readonly amr?: readonly string[]
  /** Epoch seconds. */
  readonly authTime?: number
  /** The provider's session (OIDC sid, SAML SessionIndex). */
  readonly sid?: string
  readonly issuer?: string
  /** For id_token_hint at logout; sealed with the upstream session. */
  readonly idToken?: string
}

/** What the upstream request must carry (CONTRACT 6). */
export interface Wish {
  /** The relying party forces authentication. */
  readonly forceLogin: boolean
  /** The relying party asks passively (prompt=none). */
  readonly passive: boolean
  /** Seconds. */
  readonly maxAge?: number
  readonly loginHint?: string
  /** The page's language, where the relying party or the browser asked for it. */
  readonly uiLocales?: string
  /** The page's language, where nobody asked for one: the registration's own goes before. */
  readonly defaultLocale?: string
  readonly acrValues?: readonly string[]
}
