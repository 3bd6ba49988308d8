/** What may be used once, by the models under which it lies in an artifact store: every store is raced for each. */
import type { Model } from '#kernel/ports.ts'

/** Redeemed: codes, refresh tokens, pushed requests; the states and handles of a login under way and of a logout; who ends a session. */
export const redeemed: readonly Model[] = [
  'AuthorizationCode',
  'RefreshToken',
  'DeviceCode',
  'PushedAuthorizationRequest',
  'Trip',
  'Arrival',
  'Newcomer',
  'Refusal',
  'UpstreamLogout',
  'Session',
]

/** Marked on first sight: client assertions and DPoP proofs, providers' logout tokens. */
export const marked: readonly Model[] = ['ReplayDetection', 'UpstreamLogoutToken']
