/** OpenID Connect upstream under the connector contract: everything a provider can spoil, and what it says itself. */
import type { FaultCode } from '#kernel/faults.ts'
import { connectorContract } from '#test/contracts/connector.ts'
import { openHouse, returnTo } from '#test/world/oidc-house.ts'
import type { Tamper } from '#test/world/upstream.ts'

const lies = [
  'signature',
  'foreign key',
  'alg none',
  'alg HS256 with the public key',
  'unknown kid',
  'embedded key',
  'issuer',
  'audience',
  'further audience without azp',
  'azp',
  'nonce',
  'no nonce',
  'expired',
  'no exp',
  'not yet valid',
  'issued in the future',
  'issued long ago',
  'no subject',
  'empty subject',
  'subject not a string',
  'endless subject',
  'no id token',
  'id token no JWT',
  'response iss of another',
  'no response iss',
  'another state',
  'no state',
  'code twice',
  'no code',
  'userinfo sub',
  'userinfo without sub',
  'token huge',
  'token not JSON',
  'token redirects',
  'token says invalid_grant',
  'userinfo huge',
  'userinfo not JSON',
  'userinfo redirects',
] as const satisfies readonly Tamper[]

const absences = [
  'token hangs',
  'token dribbles',
  'token breaks off',
  'token 500',
  'token 503',
  'token says temporarily_unavailable',
  'userinfo hangs',
  'userinfo 500',
  'says temporarily_unavailable',
  'says server_error',
] as const satisfies readonly Tamper[]

const words: Readonly<Record<string, FaultCode>> = {
  'says access_denied': 'upstream.denied',
  'says user_cancelled_login': 'upstream.denied',
  'says login_required': 'upstream.interaction',
  'says interaction_required': 'upstream.interaction',
  'says consent_required': 'upstream.interaction',
  'says account_selection_required': 'upstream.interaction',
  'says unmet_authentication_requirements': 'upstream.acr',
  'says invalid_scope': 'upstream.misconfigured',
  'says unauthorized_client': 'upstream.misconfigured',
  'says constructor': 'upstream.denied',
  'token says invalid_client': 'upstream.misconfigured',
}

connectorContract('oidc', {
  async open() {
    const house = await openHouse({ upstream: { userinfo: { given_name: 'Alice' } } })
    const { upstream, connector } = house
    return {
      connector,
      returnTo,
      user: { uid: 'Alice.01', claims: { sub: 'Alice.01', email: 'alice@acme.example', given_name: 'Alice' } },
      secrets: [upstream.clientSecret],
      contacts: () => upstream.seen.length,
      tamper(name) {
        upstream.tamper = name as Tamper | undefined
      },
      async visit(departure) {
        const back = await upstream.visit(departure.url)
        return { method: 'GET', url: back, fields: back.searchParams }
      },
      close: house.close,
    }
  },
  tampers: {
    ...Object.fromEntries(lies.map((lie) => [lie, 'upstream.invalid' as const])),
    ...Object.fromEntries(absences.map((absence) => [absence, 'upstream.unavailable' as const])),
    ...words,
  },
})
