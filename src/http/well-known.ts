/**
 * Well-known addresses of an issuer with a path: they are looked for at the root of its host (RFC 8414 3.1, RFC 7033 4),
 * where nothing else of ours is. Pure.
 */

const ROOT = '/.well-known/'
/** Their path is followed by the issuer's. */
const suffixed = ['oauth-authorization-server', 'openid-configuration']

/** @param base the issuer's path, without a slash at its end; @returns the path below the issuer that is meant */
export const plainPath = (path: string, base: string): string => {
  if (base === '' || !path.startsWith(ROOT)) return path
  if (path === `${ROOT}webfinger`) return `${base}${path}`
  const name = suffixed.find((each) => path === `${ROOT}${each}${base}`)
  return name === undefined ? path : `${base}${ROOT}${name}`
}
