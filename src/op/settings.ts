/** The settings that this room reads (CONTRACT 2), and what follows from them. Durations are seconds. */
import type { Settings } from '#config/settings.ts'

export type OpSettings = Pick<
  Settings,
  | 'issuer'
  | 'keys'
  | 'lifetimes'
  | 'refreshReuseGrace'
  | 'security'
  | 'features'
  | 'registration'
  | 'subjects'
  | 'spontaneousScopeLifetime'
  | 'authorizationParameters'
  | 'resourceServers'
  | 'discovery'
  | 'egress'
  | 'inbound'
  | 'i18n'
  | 'egress'
>

export const isHardened = (settings: Pick<OpSettings, 'security'>): boolean => settings.security === 'hardened'

/** Request objects by reference need request objects; where every request is pushed there are none. */
export const takesRequestUris = (settings: Pick<OpSettings, 'security' | 'features'>): boolean =>
  settings.features.requestUri && settings.features.jar && !isHardened(settings)

/** Path of the issuer without a trailing slash: the prefix of every address of ours. */
export const basePath = (issuer: string): string => new URL(issuer).pathname.replace(/\/$/, '')

/**
 * The longest that anything bound to a grant may live. A grant must outlive the refresh tokens issued at the end of the
 * browser session in which it was made, because every use of a token looks at it (ENGINE 11).
 */
export const grantLifetime = ({ lifetimes }: Pick<OpSettings, 'lifetimes'>): number =>
  Math.max(lifetimes.grant, lifetimes.refreshToken) + lifetimes.session
