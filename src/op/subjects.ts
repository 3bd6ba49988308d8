/**
 * What a client knows an account by (OIDC Core 8): the public subject, from the attribute that the deployment chose, or a
 * pairwise one, worked out by the formula of CONTRACT 2 or stored. Inside this server an account is its id, always.
 */
import { type Client, errors } from 'oidc-provider'
import type { Records } from '#directory/records.ts'
import { hmac } from '#kernel/random.ts'
import type { Account } from '#kernel/records/account.ts'
import type { Client as ClientRecord } from '#kernel/records/client.ts'
import type { OpSettings } from './settings.ts'

const CACHED = 10_000

/** Reproducible, never stored. @param key HMAC key; @param salt text appended to sector and account; both must never change */
export const createPairwise = (key: Uint8Array, salt: string): ((sector: string, accountId: string) => string) => {
  const cache = new Map<string, string>()
  return (sector, accountId) => {
    const input = sector + accountId + salt
    const known = cache.get(input)
    if (known !== undefined) return known
    const subject = hmac(key, input).toString('base64url')
    if (cache.size >= CACHED) cache.clear()
    cache.set(input, subject)
    return subject
  }
}

export type Algorithm = ReturnType<typeof createPairwise>

export interface Subjects {
  /** The pairwise subject of an account at a sector. */
  pairwise(sector: string, accountId: string): Promise<string>
  /** The public subject of an account. Throws `access_denied` when it has none. */
  public(accountId: string): Promise<string>
  /** Whether that is another one than the account's id. */
  readonly isMapped: boolean
  /** What this client knows the account by. */
  of(client: Client, accountId: string): Promise<string>
}

/** OIDC Core 2: at most 255 ASCII characters. */
const isSubject = (value: unknown): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= 255 && /^[\x20-\x7e]+$/.test(value)

const attributeOf = ({ id, username, email, claims }: Account, name: string): unknown => {
  const own: Readonly<Record<string, unknown>> = { id, username, email }
  return Object.hasOwn(own, name) ? own[name] : claims[name]
}

export const createSubjects = (
  { subjects }: Pick<OpSettings, 'subjects'>,
  { accounts, subjects: stored }: Pick<Records, 'accounts' | 'subjects'>,
  algorithm: Algorithm,
): Subjects => {
  const { publicAttribute, pairwise: kind } = subjects
  const isMapped = publicAttribute !== 'id'
  const pairwise: Subjects['pairwise'] = async (sector, accountId) =>
    kind === 'persistent' ? stored.of(accountId, sector) : algorithm(sector, accountId)

  /** E-mail is not unique, and anybody may write one down: only an address that is proved and one account's names a person. */
  const isOwn = async ({ id, email, email_verified }: Account): Promise<boolean> => {
    if (publicAttribute !== 'email') return true
    if (email === undefined || !email_verified) return false
    return (await accounts.byEmail(email)).every((other) => other.id === id)
  }
  const publicOf: Subjects['public'] = async (accountId) => {
    if (!isMapped) return accountId
    const account = await accounts.get(accountId)
    const subject = account && attributeOf(account, publicAttribute)
    if (!account || !isSubject(subject) || !(await isOwn(account)))
      throw new errors.AccessDenied('the account has no subject identifier')
    return subject
  }
  return {
    isMapped,
    pairwise,
    public: publicOf,
    of: (client, accountId) =>
      client.subjectType === 'pairwise' ? pairwise(String(client.sectorIdentifier), accountId) : publicOf(accountId),
  }
}

/** OIDC Core 8.1: the host of the sector identifier document, else of the only host of the redirect URIs. */
export const sectorOf = ({ sector_identifier_uri, redirect_uris }: ClientRecord): string | undefined => {
  const address = sector_identifier_uri ?? redirect_uris?.[0]
  return typeof address === 'string' ? URL.parse(address)?.host || undefined : undefined
}

/** Pairwise subjects of one account, for the people who administer it. */
export interface ListedSubject {
  readonly sector: string
  readonly subject: string
  readonly clients: readonly string[]
  /** Stored ones can be forgotten: the sector's clients then see a stranger. */
  readonly stored: boolean
}

const PAGE = 500

const pairwiseClients = async (records: Pick<Records, 'clients'>, standard: string) => {
  const sectors = new Map<string, string[]>()
  for (let after: string | undefined; ; ) {
    const page = await records.clients.page({ limit: PAGE, ...(after !== undefined && { after }) })
    for (const { value } of page) {
      const sector = (value.subject_type ?? standard) === 'pairwise' ? sectorOf(value) : undefined
      if (sector !== undefined) sectors.set(sector, [...(sectors.get(sector) ?? []), value.client_id])
    }
    after = page.at(-1)?.value.client_id
    if (page.length < PAGE) return sectors
  }
}

/** Every pairwise subject that a client may know the account by; stored ones that were made, worked-out ones for each sector. */
export const listSubjects = async (
  { subjects }: Pick<OpSettings, 'subjects'>,
  records: Pick<Records, 'clients' | 'subjects'>,
  algorithm: Algorithm,
  accountId: string,
): Promise<ListedSubject[]> => {
  const sectors = await pairwiseClients(records, subjects.default)
  const stored = (await records.subjects.ofAccount(accountId)).map(({ sector, subject }) => ({
    sector,
    subject,
    clients: sectors.get(sector) ?? [],
    stored: true,
  }))
  if (subjects.pairwise === 'persistent') return stored
  const worked = [...sectors].map(([sector, clients]) => ({
    sector,
    subject: algorithm(sector, accountId),
    clients,
    stored: false,
  }))
  return [...worked, ...stored]
}
