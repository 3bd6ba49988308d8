/** What one setting asks of another. Each check sees only what was valid by itself, so that all mistakes come at once. */
import { accessSync, constants, globSync } from 'node:fs'
import { isIP } from 'node:net'
import type { Client } from '#kernel/records/client.ts'
import { didYouMean } from './mistakes.ts'
import { checkRateLimit } from './rate-limit.ts'
import type { Settings } from './settings.ts'
import { combinationMistake, storeKind, storePath } from './store-address.ts'

/** What of the settings was valid by itself. */
export type Valid<T> = { readonly [Name in keyof T]?: T[Name] }
export type Report = (path: string, message: string) => void

/** What the rooms bring with them. */
export interface Known {
  readonly methods: readonly string[]
  /** Names of the connectors' own mappings. */
  readonly mappings: readonly string[]
  /** Languages that there are texts in. */
  readonly languages: readonly string[]
  /** What is wrong with a store's address behind its scheme ("must …", no secret in it); undefined when nothing is. */
  readonly storeMistake?: ((address: string) => string | undefined) | undefined
  /** What is wrong with each client as a whole; undefined where nothing is. Asked of those that are right member by member. */
  readonly judgeClients?: ((settings: Settings, clients: readonly Client[]) => (string | undefined)[]) | undefined
}

/** RFC 6890 and 6761: only this machine. */
export const isLoopback = (host: string): boolean => {
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  if (isIP(name) === 4) return name.startsWith('127.')
  return name === '::1' || name === 'localhost' || name.endsWith('.localhost')
}

const address = ({ issuer, listen, trustProxy }: Valid<Settings>, report: Report) => {
  if (issuer === undefined || trustProxy === undefined) return
  const url = new URL(issuer)
  const behindProxy = trustProxy !== false
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && !behindProxy)
    report('issuer', `found ${JSON.stringify(issuer)}, must be https, or on a loopback host, or behind trustProxy`)
  if (listen && url.protocol === 'https:' && !listen.tls && !behindProxy)
    report('listen.tls', 'missing, must be set for an https issuer (or trustProxy, behind a proxy that ends TLS)')
}

const readable = (path: string, file: string | undefined, report: Report) => {
  if (file === undefined) return
  try {
    accessSync(file, constants.R_OK)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown'
    report(path, `found the file ${file}, which cannot be read (${code}), must be a readable file`)
  }
}

/** Of a pattern there may be nothing yet, of which the log tells. */
const isPattern = (path: string): boolean => /[*?[{]/.test(path)

const files = ({ listen, egress, hooks }: Valid<Settings>, report: Report) => {
  hooks?.forEach((pattern, index) => {
    if (!isPattern(pattern) && globSync(pattern).length === 0)
      report(`hooks.${index}`, `found ${JSON.stringify(pattern)}, which names no file, must name one, or be a pattern`)
  })
  readable('listen.tls.certFile', listen?.tls?.certFile, report)
  readable('listen.tls.keyFile', listen?.tls?.keyFile, report)
  readable('egress.caFile', egress?.caFile, report)
}

const places = ({ stores, masterKey }: Valid<Settings>, known: Known, report: Report) => {
  if (!stores) return
  const { artifacts, directory } = stores
  const [kind, beside] = [storeKind(artifacts), storeKind(directory)]
  for (const name of ['artifacts', 'directory'] as const) {
    const mistake = known.storeMistake?.(stores[name])
    if (mistake !== undefined) report(`stores.${name}`, `found ${stores[name].split(':', 1)[0]}:…, ${mistake}`)
  }
  const apart = combinationMistake(kind, beside)
  if (apart !== undefined) report('stores.directory', `found ${directory.split(':', 1)[0]}:…, must be ${apart}`)
  if (kind === 'sqlite' && beside === 'sqlite' && storePath(artifacts) === storePath(directory))
    report('stores.directory', 'found the file of stores.artifacts, must be a file of its own')
  if (masterKey === undefined && kind !== 'sqlite' && beside !== 'sqlite')
    report(
      'masterKey',
      'missing, must be set where no store is SQLite: there is no file beside which one could be kept',
    )
}

const SECOND = 1
const MINUTE = 60 * SECOND

const times = ({ lifetimes, keys, security }: Valid<Settings>, report: Report) => {
  if (lifetimes) {
    const { session, sessionIdle, refreshToken, grant, authorizationCode } = lifetimes
    if (sessionIdle > session)
      report('lifetimes.sessionIdle', 'found more than lifetimes.session, must be at most that')
    if (grant < Math.max(refreshToken, session))
      report(
        'lifetimes.grant',
        'found less than the tokens under it, must be at least lifetimes.refreshToken and session',
      )
    if (authorizationCode > 10 * MINUTE)
      report('lifetimes.authorizationCode', 'found more than PT10M, must be at most that (RFC 6749 4.1.2)')
    if (security === 'hardened' && authorizationCode > MINUTE)
      report('lifetimes.authorizationCode', 'found more than PT1M, must be at most that with security: hardened')
  }
  if (keys && keys.publishBefore >= keys.rotateEvery)
    report('keys.publishBefore', 'found no less than keys.rotateEvery, must be less')
  if (keys && lifetimes && keys.keepAfter < Math.max(lifetimes.idToken, lifetimes.accessToken))
    report('keys.keepAfter', 'found less than a token lives, must be at least lifetimes.idToken and accessToken')
}

const choices = ({ keys, security, features }: Valid<Settings>, report: Report) => {
  if (keys && !keys.algorithms.includes(keys.default))
    report('keys.default', `found "${keys.default}", must be one of keys.algorithms (${keys.algorithms.join(', ')})`)
  for (const name of ['par', 'dpop'] as const)
    if (security === 'hardened' && features?.[name] === false)
      report(`features.${name}`, 'found false, must be true with security: hardened')
}

const languages = ({ i18n }: Valid<Settings>, known: Known, report: Report) => {
  if (!i18n) return
  i18n.available.forEach((tag, index) => {
    if (!known.languages.includes(tag))
      report(`i18n.available.${index}`, `found "${tag}", must be one of ${known.languages.join(', ')}`)
  })
  if (!i18n.available.includes(i18n.default))
    report('i18n.default', `found "${i18n.default}", must be one of i18n.available (${i18n.available.join(', ')})`)
}

const registration = ({ registration }: Valid<Settings>, report: Report) => {
  const statements = registration?.softwareStatements
  if (statements?.required && statements.trusted.length === 0)
    report('registration.softwareStatements.required', 'found true but nobody is trusted, must be set with trusted')
}

/** Parameters that mean something already: letting them through as extras would bypass their checks. */
const specified = new Set(
  `acr_values audience authorization_details claims claims_locales client_assertion client_assertion_type client_id
  client_secret code_challenge code_challenge_method display dpop_jkt grant_id grant_management_action id_token_hint
  login_hint max_age nonce prompt redirect_uri registration request request_uri resource response_mode response_type
  scope state ui_locales`.split(/\s+/),
)

const parameters = ({ authorizationParameters, discovery }: Valid<Settings>, report: Report) => {
  const refuse = (path: string, name: string | undefined) => {
    if (name !== undefined && specified.has(name))
      report(path, `found "${name}", which a specification defines, must be a name of your own`)
  }
  authorizationParameters?.forEach((name, index) => {
    refuse(`authorizationParameters.${index}`, name)
  })
  refuse('discovery.preselectParameter', discovery?.preselectParameter)
}

const logins = ({ logins, methods }: Valid<Settings>, known: Known, report: Report) => {
  logins?.default.forEach((id, index) => {
    const path = `logins.default.${index}`
    if (!known.methods.includes(id))
      report(path, `found "${id}", must be one of ${known.methods.join(', ')}${didYouMean(id, known.methods)}`)
    else if (methods?.[id]?.enabled === false) report(path, `found "${id}", which methods.${id} does not turn on`)
  })
}

/** All that settings ask of each other. */
export const checkSettings = (settings: Valid<Settings>, known: Known, report: Report): void => {
  address(settings, report)
  files(settings, report)
  places(settings, known, report)
  times(settings, report)
  choices(settings, report)
  registration(settings, report)
  languages(settings, known, report)
  parameters(settings, report)
  logins(settings, known, report)
  checkRateLimit(settings, report)
}
