/**
 * Names that documentation already gives to settings which this version does not have: naming one is a mistake that says
 * so, instead of "unknown". A `*` stands for any one level. A line goes when its setting is built.
 */

const topLevel = ['mail', 'metrics', 'apiClients', 'tokenProxyClients', 'endpoints']
const features = ['deviceFlow', 'ciba', 'rar', 'tokenExchange', 'mtls', 'clientIdMetadata']
const methods = ['basic_lock', 'fido2', 'u2f', 'twilio_sms', 'email_otp', 'yubicloud', 'duo', 'cert', 'ldap']
const protocols = ['oauth2', 'oauth1', 'saml', 'passport']

const paths = [
  ...topLevel,
  ...features.map((name) => `features.${name}`),
  ...methods.map((name) => `methods.${name}`),
  'listen.tls.clientCaFile',
  ...['directory', 'maxFiles', 'stomp'].map((name) => `logging.${name}`),
  ...['preset', ...protocols].map((name) => `identityProviders.*.${name}`),
]

/** Values of choices that come later, by path. */
const values: Readonly<Record<string, readonly string[]>> = {
  'identityProviders.*.protocol': protocols,
}

const general = (path: readonly PropertyKey[]): string =>
  path.map((part) => (typeof part === 'number' ? '*' : String(part))).join('.')
const plain = (path: string): string => path.toLowerCase().replaceAll('_', '')
const plainPaths = new Set(paths.map(plain))

/** However it is spelt: `ratelimit` and `rate_limit` mean the same. */
export const settingComesLater = (path: readonly PropertyKey[]): boolean => plainPaths.has(plain(general(path)))

export const valueComesLater = (path: readonly PropertyKey[], value: unknown): boolean =>
  typeof value === 'string' && (values[general(path)]?.includes(value) ?? false)

/** Methods and groups that acr values may name, built or not: ids that a provider must not take (CONTRACT 5). */
export const reservedWays: readonly string[] = ['basic', 'otp', ...methods, 'passport_social', 'passport_saml']
