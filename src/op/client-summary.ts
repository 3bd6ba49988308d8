/** What a client is and may do here, as Markdown for the people who decide about it. Pure but for reading what is around. */
import { sanitise, type Vocabulary } from '#artifacts/client-rows.ts'
import type { Records } from '#directory/records.ts'
import type { Client } from '#kernel/records/client.ts'
import { createVocabulary } from './clients.ts'
import { readIngredients } from './instance.ts'
import { isHardened, type OpSettings } from './settings.ts'

/** What the running configuration makes of a client. */
export interface Surroundings {
  readonly settings: Pick<OpSettings, 'keys' | 'subjects' | 'security'>
  readonly vocabulary: Vocabulary
  readonly providers: readonly string[]
}

/** @param given.methods ids of the enabled local methods */
export const readSurroundings = async (given: {
  readonly settings: OpSettings
  readonly records: Records
  readonly methods: readonly string[]
}): Promise<Surroundings> => {
  const { settings, records } = given
  const { known } = await readIngredients(given)
  const providers = await records.providers.all()
  return {
    settings,
    vocabulary: createVocabulary(settings, known),
    providers: providers.filter(({ enabled }) => enabled).map(({ id }) => id),
  }
}

type Metadata = Readonly<Record<string, unknown>>
type Row = readonly [label: string, value: string | undefined]

/** Names and addresses come from strangers: nothing of them may become markup or another cell. */
const code = (value: unknown): string => `\`${String(value).replace(/[`|\p{Cc}]/gu, '?')}\``
const text = (value: unknown): string =>
  String(value)
    .replace(/\p{Cc}/gu, ' ')
    .replace(/[\\`*_{}[\]<>#|!~]/g, '\\$&')
const list = (values: unknown): string | undefined =>
  Array.isArray(values) && values.length > 0 ? values.map(code).join(', ') : undefined
const one = (value: unknown): string | undefined => (value === undefined || value === '' ? undefined : code(value))
const when = (seconds: unknown): string | undefined =>
  typeof seconds === 'number' && seconds > 0 ? new Date(seconds * 1000).toISOString() : undefined
const yes = (value: unknown, what: string): string | undefined => (value === true ? what : undefined)

const table = (title: string, rows: readonly Row[]): string[] => {
  const known = rows.filter(([, value]) => value !== undefined)
  if (known.length === 0) return []
  return [`## ${title}`, '', '| | |', '| --- | --- |', ...known.map(([label, value]) => `| ${label} | ${value} |`), '']
}

const stateOf = (client: Client, now: number): string => {
  if (client.disabled) return '**disabled**: refused everywhere, its tokens too'
  const end = when(client.expires_at)
  if (end === undefined) return 'enabled'
  return Number(client.expires_at) * 1000 <= now ? `**expired** at ${end}` : `enabled until ${end}`
}

const authentication = (metadata: Metadata): string => {
  const { token_endpoint_auth_method: method = 'client_secret_basic' } = metadata
  if (method === 'none') return 'none: a public client, PKCE is required'
  const keys =
    metadata.jwks_uri === undefined ? metadata.jwks && 'keys of its own' : `keys from ${code(metadata.jwks_uri)}`
  return [code(method), method === 'private_key_jwt' && keys].filter(Boolean).join(', ')
}

const consent = (client: Client): string => {
  if (client.trusted) return 'nobody is asked: the client is trusted'
  return client.persist_authorizations ? 'asked once, remembered' : 'asked in every session'
}

const encrypted = (metadata: Metadata, name: string): string =>
  metadata[`${name}_encrypted_response_alg`] === undefined
    ? ''
    : `, encrypted ${code(metadata[`${name}_encrypted_response_alg`])}`

const accessTokens = (metadata: Metadata, { keys }: Surroundings['settings']): string => {
  const kind = metadata.access_token_as_jwt
    ? `JWT (RFC 9068), signed ${code(metadata.access_token_signing_alg ?? keys.default)}`
    : 'opaque'
  return metadata.dpop_bound_access_tokens ? `${kind}, bound to a DPoP key` : kind
}

const subject = (metadata: Metadata, { subjects }: Surroundings['settings']): string => {
  const type = metadata.subject_type ?? subjects.default
  if (type !== 'pairwise') return 'public: the same for every client'
  const address = metadata.sector_identifier_uri ?? (metadata.redirect_uris as string[] | undefined)?.[0]
  const sector = typeof address === 'string' && URL.canParse(address) ? new URL(address).host : undefined
  return `pairwise${sector === undefined ? '' : `, of the sector ${code(sector)}`}`
}

const identity = (client: Client, now: number): Row[] => [
  ['Client id', code(client.client_id)],
  ['State', stateOf(client, now)],
  ['Registered', when(client.client_id_issued_at)],
  ['Kind', client.application_type === 'native' ? 'native application' : 'web application'],
  ['Contacts', list(client.contacts)],
  ['Pages', list([client.client_uri, client.policy_uri, client.tos_uri].filter((uri) => uri !== undefined))],
  ['Software', one([client.software_id, client.software_version].filter(Boolean).join(' '))],
  ['Software statement', client.software_statement === undefined ? undefined : 'verified when it registered'],
]

const requests = (client: Client, metadata: Metadata, { settings }: Surroundings): Row[] => [
  ['Authenticates by', authentication(metadata)],
  ['Secret expires', when(metadata.client_secret_expires_at)],
  ['Redirect URIs', list(metadata.redirect_uris)],
  ['Grant types', list(metadata.grant_types ?? ['authorization_code'])],
  ['Response types', list(metadata.response_types ?? ['code'])],
  ['Scopes', typeof metadata.scope === 'string' ? list(metadata.scope.split(' ')) : 'every scope there is'],
  ['Consent', consent(client)],
  ['Pushed requests', yes(isHardened(settings) || metadata.require_pushed_authorization_requests, 'required')],
  ['Signed requests', yes(metadata.require_signed_request_object, 'required')],
]

const people = (client: Client, metadata: Metadata, { providers }: Surroundings): Row[] => [
  ['Identity providers', client.providers ? (list(client.providers) ?? 'none') : list(providers)],
  ['Asked for by default', list(metadata.default_acr_values)],
  [
    'Sign-in at least every',
    typeof metadata.default_max_age === 'number' ? `${metadata.default_max_age} s` : undefined,
  ],
]

const tokens = (metadata: Metadata, { settings }: Surroundings): Row[] => [
  ['Subject', subject(metadata, settings)],
  [
    'ID token',
    `signed ${code(metadata.id_token_signed_response_alg ?? settings.keys.default)}${encrypted(metadata, 'id_token')}`,
  ],
  [
    'Userinfo',
    metadata.userinfo_signed_response_alg === undefined
      ? `JSON${encrypted(metadata, 'userinfo')}`
      : `signed ${code(metadata.userinfo_signed_response_alg)}${encrypted(metadata, 'userinfo')}`,
  ],
  ['Access tokens', accessTokens(metadata, settings)],
]

const logout = (metadata: Metadata): Row[] => [
  ['Back to', list(metadata.post_logout_redirect_uris)],
  ['Back-channel', one(metadata.backchannel_logout_uri)],
  ['Front-channel', one(metadata.frontchannel_logout_uri)],
]

/** @param now epoch ms @returns Markdown, without any secret */
export const clientSummary = (client: Client, around: Surroundings, now: number): string => {
  const { metadata, dropped } = sanitise(client, around.vocabulary)
  const gone = Object.entries(dropped).map(([name, values]): Row => [code(name), list(values)])
  const lines = [
    `# ${text(client.client_name ?? client.client_id)}`,
    '',
    ...table('Who', identity(client, now)),
    ...table('What it may ask for', requests(client, metadata, around)),
    ...table('How people sign in', people(client, metadata, around)),
    ...table('What it gets', tokens(metadata, around)),
    ...table('Logout', logout(metadata)),
    ...table('Registered, but not in force here any more', gone),
  ]
  return `${lines.join('\n').trimEnd()}\n`
}
