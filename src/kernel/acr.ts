/** What acr values mean to everybody: what a request asks, and the groups; for the engine's policy and for the journey. */

export interface AcrRequest {
  readonly values: readonly string[]
  readonly essential: boolean
}

const strings = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []

/** Groups of CONTRACT 5 and the protocols they stand for. */
export const groups: ReadonlyMap<string, readonly string[]> = new Map([
  ['passport_social', ['oidc', 'oauth2', 'oauth1']],
  ['passport_saml', ['saml']],
])

/**
 * Reads `claims.id_token.acr` and `acr_values` (OIDC Core 5.5.1.1, 3.1.2.1). An essential claim goes before acr_values,
 * which oidc-provider would let overwrite it (ENGINE 3).
 * @param params of the authorization request; @param defaults the client's default_acr_values
 */
export const requestedAcr = (
  params: Readonly<Record<string, unknown>>,
  defaults: readonly string[] = [],
): AcrRequest => {
  let claim: { essential?: unknown; value?: unknown; values?: unknown } | undefined
  if (typeof params.claims === 'string') {
    try {
      claim = (JSON.parse(params.claims) as { id_token?: { acr?: typeof claim } }).id_token?.acr ?? undefined
    } catch {
      // Malformed JSON was refused by the engine before.
    }
  }
  const claimed = typeof claim?.value === 'string' ? [claim.value] : strings(claim?.values)
  if (claim?.essential === true && claimed.length > 0) return { values: claimed, essential: true }
  const asked =
    typeof params.acr_values === 'string' ? params.acr_values.split(' ').filter((value) => value !== '') : []
  if (asked.length > 0) return { values: asked, essential: false }
  return { values: claimed.length > 0 ? claimed : defaults, essential: false }
}
