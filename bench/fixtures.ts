/**
 * What every server of a run is given: clients, people and a signing key. Written as a Gatehouse configuration has it;
 * the bare servers take the registration members and leave out what only Gatehouse knows.
 */
import { generateKeyPairSync, type JsonWebKey, randomBytes } from 'node:crypto'
import { hash } from './password.ts'

/** Never visited: the load reads the answer off the redirect. */
export const REDIRECT = 'https://app.example.org/callback'
/** Id of the provider behind `federated_login`, and the acr value that chooses it. */
export const UPSTREAM = 'upstream'
/** Id of the client whose access tokens are JWT. */
export const SIGNING = 'signing-service'
export const PEOPLE = 64

export interface ClientFixture {
  readonly client_id: string
  readonly client_secret: string
  readonly redirect_uris: readonly string[]
  readonly response_types: readonly string[]
  readonly grant_types: readonly string[]
}

export interface Person {
  readonly id: string
  readonly username: string
  readonly email: string
  readonly passwordHash: string
}

export interface Fixtures {
  /** Machine to machine. */
  readonly service: ClientFixture
  /** The same, with JWT access tokens. */
  readonly signing: ClientFixture
  /** People sign in here by password, without a consent page. */
  readonly web: ClientFixture
  /** The same, but they come from the upstream provider. */
  readonly federated: ClientFixture
  readonly people: readonly Person[]
  readonly password: string
  /** Private RSA key of the bare servers. */
  readonly key: JsonWebKey
}

const secret = () => randomBytes(32).toString('base64url')

const site = (client_id: string): ClientFixture => ({
  client_id,
  client_secret: secret(),
  redirect_uris: [REDIRECT],
  response_types: ['code'],
  grant_types: ['authorization_code', 'refresh_token'],
})

/** Everybody has the same password and hash: what a login costs does not depend on it, and a run starts at once. */
export const createFixtures = async (): Promise<Fixtures> => {
  const password = secret()
  const passwordHash = await hash(password)
  const service = {
    client_id: 'service',
    client_secret: secret(),
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials'],
  }
  const signing = { ...service, client_id: SIGNING, client_secret: secret() }
  const people = Array.from({ length: PEOPLE }, (_, index) => ({
    id: `person-${index}`,
    username: `user${index}`,
    email: `user${index}@example.org`,
    passwordHash,
  }))
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  return { service, signing, web: site('web'), federated: site('federated'), people, password, key }
}
