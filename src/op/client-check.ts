/**
 * What is wrong with clients that somebody declares, before anything is opened. How the members of a client's metadata fit
 * together (OIDC Registration 2, RFC 7591 2) is the engine's to say, so one that serves nothing is asked. What only the
 * network or the directory knows is left out: documents behind addresses, and which scopes and acrs there are.
 */
import { generateKeyPairSync } from 'node:crypto'
import Provider, { type Adapter, type ClientMetadata, type JWK } from 'oidc-provider'
import { sanitise } from '#artifacts/client-rows.ts'
import type { Client } from '#kernel/records/client.ts'
import { clientRules } from './build.ts'
import { createVocabulary } from './clients.ts'
import { createFeatures, type FeatureParts } from './features.ts'
import type { OpSettings } from './settings.ts'

// Nothing of these is ever called: an engine that serves nothing only judges metadata.
const inertParts = { nonceSecret: Buffer.alloc(32), registrationPolicy: () => undefined } as unknown as FeatureParts
const inertAdapter = {} as Adapter

type ClientClass = new (metadata: ClientMetadata) => unknown

const wordsOf = (scope: unknown): string[] =>
  typeof scope === 'string' ? scope.split(' ').filter((word) => word !== '') : []

/** Where the engine asks whether we have a key: that is not for the client's metadata to say. */
const isOurs = (name: string, value: unknown): boolean =>
  (name.endsWith('_signed_response_alg') && !String(value).startsWith('HS')) ||
  name.startsWith('request_object_encryption_')

const withoutOurAlgorithms = (metadata: Record<string, unknown>) =>
  Object.fromEntries(
    Object.entries(metadata).filter(([name, value]) => !isOurs(name, value)),
  ) as unknown as ClientMetadata

const throwAway = (settings: OpSettings, scopes: readonly string[], acrs: readonly string[]): ClientClass => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const rules = clientRules({ ...settings, keys: { ...settings.keys, algorithms: ['EdDSA'], default: 'EdDSA' } })
  const engine = new Provider(settings.issuer, {
    ...rules,
    adapter: () => inertAdapter,
    acrValues: [...acrs],
    cookies: { keys: ['none'] },
    features: createFeatures(settings, inertParts),
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig' } as JWK] },
    scopes: [...new Set(['openid', 'offline_access', ...scopes])],
  })
  return engine.Client as unknown as ClientClass
}

/** @returns for each client one sentence on what the engine refuses of it, or undefined */
export const judgeClients = (settings: OpSettings, clients: readonly Client[]): (string | undefined)[] => {
  if (clients.length === 0) return []
  const scopes = clients.flatMap(({ scope }) => wordsOf(scope))
  const acrs = clients.flatMap(({ default_acr_values: values }) => values ?? [])
  const Judge = throwAway(settings, scopes, acrs)
  const known = createVocabulary(settings, { scopes, acrs, algorithms: settings.keys.algorithms })
  return clients.map((client) => {
    try {
      new Judge(withoutOurAlgorithms(sanitise(client, known).metadata))
      return undefined
    } catch (error) {
      const { error_description: said, message } = error as { error_description?: string; message: string }
      return said ?? message
    }
  })
}
