/** The kernel's Engine port: what the rooms below need of a waiting authorization request. */
import type {
  ClientMetadata,
  Client as EngineClient,
  IdToken,
  InteractionResults,
  Interaction as Stored,
} from 'oidc-provider'
import type { Kept } from '#artifacts/interaction-rows.ts'
import type { Records } from '#directory/records.ts'
import { type Clock, epochSeconds } from '#kernel/clock.ts'
import { Fault } from '#kernel/faults.ts'
import type {
  ConsentDecision,
  Engine as EnginePort,
  Interaction,
  InteractionResult,
  KeptRequest,
  WayTaken,
} from '#kernel/ports.ts'
import { randomToken } from '#kernel/random.ts'
import type { Client } from '#kernel/records/client.ts'
import { cookiesFor } from './build.ts'
import type { Engine } from './engine.ts'
import { grantDecision, type Names } from './grants.ts'
import type { Instance } from './instance.ts'
import { type ResourceScopes, withoutScopes } from './resource-servers.ts'
import type { SessionExtras, Upstream } from './seams.ts'
import { isHardened, type OpSettings } from './settings.ts'

export interface EnginePortOptions {
  readonly settings: OpSettings
  readonly records: Pick<Records, 'clients' | 'consents'>
  readonly clock: Clock
  readonly names: Names
  /** The one in force. */
  readonly instance: () => Instance
}

interface Signed {
  readonly uid: string
  readonly accountId: string
  readonly acr?: string
  readonly amr?: readonly string[]
  readonly authTime?: number
  readonly ways?: readonly WayTaken[]
  readonly upstream?: Upstream
}

const words = (value: unknown): string[] =>
  typeof value === 'string' ? value.split(' ').filter((word) => word !== '') : []

/** A prompt that is answered by a sign-in under another name (`create`, `select_account`) needs its own key to be resolved. */
const resolved = (stored: Stored, result: InteractionResult): InteractionResults => {
  if ('error' in result) return { ...result }
  const { name } = stored.prompt
  const own = 'login' in result && name !== 'login' && name !== 'consent' ? { [name]: {} } : {}
  return { ...stored.lastSubmission, ...own, ...result } as InteractionResults
}

/** Where a request that may not be repeated as plain parameters is begun again: at the relying party (OIDC Core 4). */
const startAtClient = (client: Client, issuer: string): string => {
  if (client.initiate_login_uri !== undefined) {
    const url = new URL(client.initiate_login_uri)
    url.searchParams.set('iss', issuer)
    return url.href
  }
  return client.client_uri ?? issuer
}

const elsewhere = new WeakMap<KeptRequest, string>()

/** Only what the relying party wrote itself, and what may be sent twice. */
const notRepeated = new Set(['request', 'request_uri', 'login_hint', 'id_token_hint'])

/** @returns the authorization URL that asks the same again */
const restartUrl = (issuer: string, kept: KeptRequest): string => {
  const other = elsewhere.get(kept)
  if (other !== undefined) return other
  const url = new URL(`${issuer}/authorize`)
  for (const [name, value] of Object.entries(kept.params)) {
    if (notRepeated.has(name)) continue
    // `resource` may be there several times (RFC 8707 2).
    for (const each of Array.isArray(value) ? value : [value])
      if (typeof each === 'string') url.searchParams.append(name, each)
  }
  return url.href
}

type LogoutToken = IdToken & { mask: Record<string, null> }

const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'

/** Back-Channel Logout 2.4. A client that was disabled meanwhile is told all the same: that is how it learns of it. */
const logoutToken = async (
  { instance, records }: EnginePortOptions,
  { clientId, accountId, sid }: { readonly clientId: string; readonly accountId: string; readonly sid: string },
) => {
  const { engine } = instance()
  const record = await records.clients.get(clientId)
  if (!record || typeof record.backchannel_logout_uri !== 'string') return undefined
  const Client = engine.Client as unknown as new (metadata: ClientMetadata) => EngineClient
  const client = (await engine.Client.find(clientId)) ?? new Client(record as unknown as ClientMetadata)
  const token = new engine.IdToken({ sub: accountId }, { client }) as LogoutToken
  const jti = randomToken(16)
  token.mask = { sub: null }
  token.set('events', { [LOGOUT_EVENT]: {} })
  token.set('jti', jti)
  if (client.backchannelLogoutSessionRequired) token.set('sid', sid)
  return { uri: record.backchannel_logout_uri, token: await token.issue({ use: 'logout' }), jti }
}

/** The browser session that the interaction was begun in: still there, and still the same person's (ENGINE 12). */
const sessionOf = async (engine: Engine, stored: Stored): Promise<Signed | 'lost' | undefined> => {
  if (!stored.session?.uid) return undefined
  const session = await engine.Session.findByUid(stored.session.uid)
  if (!session || session.accountId !== stored.session.accountId) return 'lost'
  const { uid, accountId, acr, amr, loginTs } = session
  const { ways, upstream } = session as SessionExtras
  return {
    uid,
    accountId,
    ...(acr !== undefined && { acr }),
    ...(amr !== undefined && { amr }),
    ...(loginTs !== undefined && { authTime: loginTs }),
    ...(ways && { ways }),
    ...(upstream && { upstream }),
  }
}

const finish = async (
  { clock, instance }: EnginePortOptions,
  stored: Stored,
  result: InteractionResult,
): Promise<string> => {
  // A second tab or a double click: what is finished is not begun again.
  if ((await instance().kept(stored.uid))?.state !== 'open') throw new Fault('journey.finished', { uid: stored.uid })
  stored.result = resolved(stored, result)
  await stored.save(Math.max(1, stored.exp - epochSeconds(clock)))
  return stored.returnTo
}

const grant = async (
  { records, names, instance }: EnginePortOptions,
  stored: Stored,
  signed: Signed,
  decision: ConsentDecision,
): Promise<string> => {
  const { accountId, uid: sessionUid } = signed
  const clientId = String(stored.params.client_id)
  const { engine, scopes: table, spontaneous } = instance()
  const requested = words(stored.params.scope)
  const passing = spontaneous.matching(await engine.Client.find(clientId), requested)
  const asked = requested.filter((scope) => table.names.includes(scope) || passing.includes(scope))
  const rejectedScopes = decision.rejectedScopes.filter((scope) => asked.includes(scope) && scope !== 'openid')
  const claims = (stored.prompt.details.missingOIDCClaims as string[] | undefined) ?? []
  const resources = (stored.prompt.details.missingResourceScopes ?? {}) as ResourceScopes
  const declined = decision.rejectedScopes.filter((scope) => Object.values(resources).flat().includes(scope))
  const consent = await records.consents.get(accountId, clientId)
  const grantId = await grantDecision(engine, names, {
    owner: { sessionUid, accountId, clientId },
    grantId: stored.grantId,
    scopes: asked,
    claims,
    rejectedScopes,
    resources,
    declined,
    epoch: consent?.epoch ?? 0,
  })
  const scopes = asked.filter((scope) => !rejectedScopes.includes(scope))
  await spontaneous.begin(
    clientId,
    accountId,
    passing.filter((scope) => scopes.includes(scope)),
  )
  // Spontaneous scopes are gone some day: they are asked about each time that they come up.
  const lasting = (list: readonly string[]) => list.filter((scope) => !passing.includes(scope))
  if (decision.remember)
    await records.consents.remember(accountId, clientId, {
      scopes: lasting(scopes),
      claims,
      rejectedScopes: lasting([...new Set([...rejectedScopes, ...declined])]),
      resources: withoutScopes(resources, declined),
    })
  return grantId
}

/** `kept` answers the login's name in the trace too. */
export type OpEngine = EnginePort & { kept(uid: string): Promise<Kept | undefined> }

export const createEnginePort = (given: EnginePortOptions): OpEngine => {
  const { settings, records } = given
  const { secure } = cookiesFor(settings.issuer)

  return {
    async interaction({ req, res }, uid): Promise<Interaction | undefined> {
      const { engine } = given.instance()
      const { cookies } = engine.createContext(req, res)
      Object.assign(cookies, { secure })
      if (cookies.get(engine.cookieName('interaction'), { signed: true }) !== uid) return undefined
      const stored = (await engine.Interaction.find(uid)) as Stored | undefined
      const session = stored && (await sessionOf(engine, stored))
      if (!stored || session === 'lost') return undefined
      const { name, reasons, details } = stored.prompt
      return {
        uid,
        correlation: stored.cid,
        params: stored.params,
        prompt: { name, reasons, details },
        clientId: String(stored.params.client_id),
        ...(session && { session }),
        ...(stored.lastSubmission && { lastSubmission: stored.lastSubmission as Record<string, unknown> }),
        expiresAt: stored.exp * 1000,
        finish: (result) => finish(given, stored, result),
        grant: (decision) => {
          if (!session) throw new Fault('journey.foreign', { uid, reason: 'consent without a session' })
          return grant(given, stored, session, decision)
        },
      }
    },
    async kept(uid) {
      const kept = await given.instance().kept(uid)
      if (!kept) return undefined
      const client = await records.clients.get(kept.clientId)
      const closed =
        isHardened(settings) || client?.require_pushed_authorization_requests || client?.require_signed_request_object
      if (closed && client) elsewhere.set(kept, startAtClient(client, settings.issuer))
      return kept
    },
    logoutToken: (to) => logoutToken(given, to),
    restartUrl: (kept) => restartUrl(settings.issuer, kept),
  }
}
