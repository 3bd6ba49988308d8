/** The Helm chart: linted and rendered by Helm itself, and what is rendered looked at. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { parse, parseAllDocuments } from 'yaml'
import { load } from '#test/flows/world.ts'
import { findHelm, helmMissing } from '../../scripts/helm.ts'
import { root } from '../../scripts/tree.ts'

const chart = join(root, 'deploy/helm')
const least = ['--set', 'issuer=https://id.example.org', '--set', 'secret.name=idp-secrets']
const run = promisify(execFile)
const helm = async (...args: string[]): Promise<string> => (await run(await findHelm(), args)).stdout

type Json = Record<string, unknown>
interface Resource extends Json {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels: Record<string, string> }
  readonly spec: Json
  readonly data?: Record<string, string>
}

const render = async (...more: string[]): Promise<Map<string, Resource>> => {
  const text = await helm('template', 'idp', chart, '--kube-version', '1.30.0', ...least, ...more)
  const resources = parseAllDocuments(text).flatMap((document) => {
    assert.deepEqual(document.errors, [])
    return (document.toJS() as Resource | null) ?? []
  })
  return new Map(resources.map((resource) => [resource.kind, resource]))
}
/** What is at a path of a resource. */
const at = (resource: unknown, ...path: (string | number)[]): unknown =>
  path.reduce<unknown>((level, key) => (level as Json | undefined)?.[key], resource)

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-chart-'))
after(() => rmSync(folder, { recursive: true, force: true }))

describe('the chart', { skip: process.env.CI ? false : (helmMissing() ?? false) }, () => {
  test('has no mistake that Helm knows, and refuses values that cannot work', async () => {
    assert.match(await helm('lint', '--strict', '--kube-version', '1.30.0', chart, ...least), /0 chart\(s\) failed/)
    for (const wrong of [
      'issuer=http://id.example.org',
      'issuer=https://id.example.org/',
      'secret.name=',
      'replicas=0',
    ])
      await assert.rejects(render('--set', wrong), /values don't meet the specifications/, wrong)
  })

  test('renders every part, tied together by its labels', async () => {
    const resources = await render('--set', 'ingress.enabled=true', '--set', 'ingress.tlsSecretName=tls')
    assert.deepEqual([...resources.values()].map(({ apiVersion, kind }) => `${apiVersion} ${kind}`).sort(), [
      'apps/v1 Deployment',
      'autoscaling/v2 HorizontalPodAutoscaler',
      'networking.k8s.io/v1 Ingress',
      'networking.k8s.io/v1 NetworkPolicy',
      'policy/v1 PodDisruptionBudget',
      'v1 ConfigMap',
      'v1 Service',
      'v1 ServiceAccount',
    ])
    const labels = at(resources.get('Deployment'), 'spec', 'template', 'metadata', 'labels') as Json
    for (const [kind, ...path] of [
      ['Deployment', 'spec', 'selector', 'matchLabels'],
      ['Service', 'spec', 'selector'],
      ['PodDisruptionBudget', 'spec', 'selector', 'matchLabels'],
      ['NetworkPolicy', 'spec', 'podSelector', 'matchLabels'],
    ] as const) {
      const selector = Object.entries(at(resources.get(kind), ...path) as Json)
      assert.ok(selector.length > 0, kind)
      for (const [name, value] of selector) assert.equal(labels[name], value, `${kind}: ${name}`)
    }
    const target = at(resources.get('HorizontalPodAutoscaler'), 'spec', 'scaleTargetRef', 'name')
    assert.equal(target, resources.get('Deployment')?.metadata.name)
    assert.equal(at(resources.get('Deployment'), 'spec', 'replicas'), undefined, 'the autoscaler counts')
    assert.equal(at(resources.get('Ingress'), 'spec', 'rules', 0, 'host'), 'id.example.org')
    const off = await render('--set', 'autoscaling.enabled=false', '--set', 'replicas=3')
    assert.equal(off.has('HorizontalPodAutoscaler'), false)
    assert.equal(at(off.get('Deployment'), 'spec', 'replicas'), 3)
  })

  test('pods have no rights, probes that exist, and time to end', async () => {
    const pod = at((await render()).get('Deployment'), 'spec', 'template', 'spec')
    const container = at(pod, 'containers', 0)
    assert.equal(at(pod, 'securityContext', 'runAsNonRoot'), true)
    assert.equal(at(pod, 'automountServiceAccountToken'), false)
    assert.deepEqual(at(container, 'securityContext'), {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    const probe = (name: string) => at(container, name, 'httpGet', 'path')
    assert.deepEqual(['startupProbe', 'livenessProbe', 'readinessProbe'].map(probe), [
      '/healthz',
      '/healthz',
      '/readyz',
    ])
    const pause = Number((at(container, 'lifecycle', 'preStop', 'exec', 'command') as string[])[1])
    assert.ok(Number(at(pod, 'terminationGracePeriodSeconds')) > 30 + pause)
    const mounted = new Set((at(container, 'volumeMounts') as { name: string }[]).map(({ name }) => name))
    const volumes = (at(pod, 'volumes') as { name: string }[]).map(({ name }) => name)
    assert.deepEqual(volumes.toSorted(), [...mounted].sort())
  })

  test('the configuration is one that a node takes, its secrets from files; a change rolls out', async () => {
    const more = ['--set', 'config.rateLimit.max=5', '--set', 'secret.previousMasterKey=old-key']
    const resources = await render(...more)
    const text = resources.get('ConfigMap')?.data?.['gatehouse.yaml'] ?? ''
    const keys = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64url'))
    const contents = {
      'master-key': keys[0],
      'old-key': keys[1],
      'artifacts-url': 'rediss://u:p@redis.example:6379',
      'directory-url': 'mongodb://mongo.example/gatehouse',
    }
    for (const [name, content] of Object.entries(contents)) writeFileSync(join(folder, name), `${content}\n`)
    for (const content of Object.values(contents)) assert.ok(!text.includes(String(content)))
    const { settings } = load(parse(text.replaceAll('/etc/gatehouse/secrets', folder)))
    assert.equal(settings.issuer, 'https://id.example.org')
    assert.deepEqual(settings.masterKey, keys)
    assert.deepEqual(settings.stores, { artifacts: contents['artifacts-url'], directory: contents['directory-url'] })
    assert.deepEqual(settings.rateLimit, { windowMs: 86_400_000, max: 5 })

    const sum = (from: Map<string, Resource>) =>
      at(from.get('Deployment'), 'spec', 'template', 'metadata', 'annotations', 'checksum/configuration')
    assert.notEqual(sum(resources), sum(await render()))
  })
})
