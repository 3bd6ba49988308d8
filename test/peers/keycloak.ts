/** Realms of the Keycloak that `make test` started (scripts/keycloak.ts), one a test file, made through its REST API. */
import { randomBytes } from 'node:crypto'
import type { Browser, Page } from '#test/world/browser.ts'

const base = process.env.GATEHOUSE_TEST_KEYCLOAK
const [adminName, adminPassword] = (process.env.GATEHOUSE_TEST_KEYCLOAK_ADMIN ?? ':').split(':')

/** For `{ skip }` of node:test: the reason, or false when Keycloak is here. */
export const noKeycloak: string | false = base ? false : 'Keycloak is not here'

export interface Person {
  readonly username: string
  readonly password: string
  readonly email: string
  readonly firstName: string
  readonly lastName: string
}

export const frida: Person = {
  username: 'frida',
  password: 'correct horse battery',
  email: 'frida@northwind.example',
  firstName: 'Frida',
  lastName: 'Kahlo',
}

export interface Realm {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  /** Fills in Keycloak's login page. */
  signIn(browser: Browser, page: Page, person: Person): Promise<Page>
  /** Live sessions of a person, as Keycloak counts them. */
  sessionsOf(person: Person): Promise<number>
  /** Keycloak's own id of a person: the `sub` that it sends. */
  idOf(person: Person): Promise<string>
  /** Changes a person's profile behind the relying party's back. */
  rename(person: Person, change: Partial<Person>): Promise<void>
}

const call = async (path: string, init: RequestInit = {}): Promise<Response> => {
  const answer = await fetch(`${base}${path}`, init)
  if (!answer.ok) throw new Error(`Keycloak ${init.method ?? 'GET'} ${path}: ${answer.status} ${await answer.text()}`)
  return answer
}

/** Tokens of the administrator live one minute, so each call takes a fresh one. */
const admin = async (path: string, method = 'GET', body?: unknown): Promise<Response> => {
  const grant = {
    grant_type: 'password',
    client_id: 'admin-cli',
    username: adminName ?? '',
    password: adminPassword ?? '',
  }
  const token = await call('/realms/master/protocol/openid-connect/token', {
    method: 'POST',
    body: new URLSearchParams(grant),
  })
  const { access_token } = (await token.json()) as { access_token: string }
  return call(`/admin${path}`, {
    method,
    headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}

const representation = (person: Person) => ({
  username: person.username,
  email: person.email,
  emailVerified: true,
  firstName: person.firstName,
  lastName: person.lastName,
  enabled: true,
})

/**
 * A realm (gone with its Keycloak) with one confidential client and the people given. `acr` is in its tokens by Keycloak's default client scope;
 * level 1 is called `gold` there (acr-loa-map), so that a confirmed acr can be told from a requested one.
 */
export const openRealm = async (redirectUris: string[], people: Person[]): Promise<Realm> => {
  const name = `test-${randomBytes(6).toString('hex')}`
  const clientSecret = randomBytes(24).toString('base64url')
  await admin('/realms', 'POST', {
    realm: name,
    enabled: true,
    sslRequired: 'none',
    attributes: { 'acr.loa.map': JSON.stringify({ silver: 0, gold: 1 }) },
    clients: [
      {
        clientId: 'gatehouse',
        secret: clientSecret,
        publicClient: false,
        standardFlowEnabled: true,
        directAccessGrantsEnabled: false,
        redirectUris,
        attributes: {
          'post.logout.redirect.uris': redirectUris.map((uri) => uri.replace(/callback$/, 'logged-out')).join('##'),
        },
      },
    ],
    users: people.map((person) => ({
      ...representation(person),
      credentials: [{ type: 'password', value: person.password, temporary: false }],
    })),
  })
  const idOf = async ({ username }: Person): Promise<string> => {
    const answer = await admin(`/realms/${name}/users?exact=true&username=${username}`)
    const [user] = (await answer.json()) as { id: string }[]
    if (!user) throw new Error(`no ${username} in ${name}`)
    return user.id
  }
  return {
    issuer: `${base}/realms/${name}`,
    clientId: 'gatehouse',
    clientSecret,
    idOf,
    signIn: (browser, page, { username, password }) => browser.submit(page, '#kc-form-login', { username, password }),
    async sessionsOf(person) {
      const answer = await admin(`/realms/${name}/users/${await idOf(person)}/sessions`)
      return ((await answer.json()) as unknown[]).length
    },
    async rename(person, change) {
      await admin(`/realms/${name}/users/${await idOf(person)}`, 'PUT', representation({ ...person, ...change }))
    },
  }
}
