/**
 * Security headers, made once per process and set by name per request.
 * There is deliberately no `form-action`: Chromium applies it to the whole redirect chain of a form, and a login's
 * chain ends at the relying party (DESIGN 3.20).
 */

import type { Ctx } from './context.ts'

type Header = readonly [name: string, value: string]

export interface HeaderSets {
  /** Pages and everything a browser shows. */
  readonly page: readonly Header[]
  /**
   * Pages of a running authorization: without Cross-Origin-Opener-Policy, which would cut the tie to the relying
   * party's window and so break every sign-in in a pop-up (OIDC Core 3.1.2.1 `display=popup`).
   */
  readonly flow: readonly Header[]
  /** Endpoints that software calls. */
  readonly machine: readonly Header[]
}

const FLOW = ['/authorize', '/interaction', '/federation', '/session/end']

const FRAMEABLE = [
  "default-src 'none'",
  "script-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  'frame-ancestors *',
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join(';')

/** Any site may show this answer in a frame (DESIGN 3.20): it may then contact nobody. */
export const allowFraming = (ctx: Pick<Ctx, 'set' | 'remove'>): void => {
  ctx.remove('x-frame-options')
  ctx.remove('cross-origin-opener-policy')
  // A relying party that isolates itself (COEP) may embed it too.
  ctx.set('cross-origin-resource-policy', 'cross-origin')
  ctx.set('content-security-policy', FRAMEABLE)
}

/** Whether a path below the issuer belongs to a flow that a relying party may have opened in a window of its own. */
export const isFlow = (path: string): boolean =>
  FLOW.some((start) => path.startsWith(start) && (path.length === start.length || path[start.length] === '/'))

/** @param secure whether the issuer is https: HSTS then, and images over http only without it */
export const createHeaders = (secure: boolean): HeaderSets => {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    // Logos of relying parties and providers live on their own hosts.
    `img-src 'self' data: https:${secure ? '' : ' http:'}`,
    "connect-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join(';')
  const common: Header[] = [['x-content-type-options', 'nosniff']]
  // ASVS 5.0 3.4.1: at least a year, with subdomains.
  if (secure) common.push(['strict-transport-security', 'max-age=31536000; includeSubDomains'])
  const flow: Header[] = [
    ...common,
    ['content-security-policy', policy],
    ['x-frame-options', 'DENY'],
    // Only the origin, never a path: `no-referrer` would turn the Origin of our own form posts into "null".
    ['referrer-policy', 'strict-origin'],
    ['cross-origin-resource-policy', 'same-origin'],
    ['permissions-policy', 'camera=(), geolocation=(), microphone=(), payment=(), usb=()'],
  ]
  return {
    flow,
    page: [...flow, ['cross-origin-opener-policy', 'same-origin']],
    machine: [...common, ['content-security-policy', "default-src 'none';frame-ancestors 'none'"]],
  }
}
