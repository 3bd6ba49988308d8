/** What discovery offers besides the choice: places, e-mail domains, and which acr value may be reported. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { confirmedAcr, providerAt, providersForEmail } from '#federation/discovery.ts'
import { type IdentityProvider, providerBase } from '#kernel/records/provider.ts'

const provider = (id: string, more: Record<string, unknown> = {}): IdentityProvider => ({
  ...providerBase.parse({ id, ...more }),
  protocol: 'oidc',
})
const acme = provider('acme', {
  emailDomains: ['acme.org'],
  hosts: ['acme.id.example.org'],
  paths: ['/acme'],
  acrs: ['urn:loa2'],
})
const all = [provider('off', { enabled: false, paths: ['/off'] }), acme]

describe('beside the choice', () => {
  test('a provider’s own value counts when confirmed or trusted', () => {
    const trusting = { ...acme, trustAcr: true }
    assert.equal(confirmedAcr(acme, 'urn:loa2', 'urn:loa2'), 'urn:loa2')
    assert.equal(confirmedAcr(acme, 'urn:loa2', 'urn:loa1'), undefined)
    assert.equal(confirmedAcr(acme, 'urn:loa2', undefined), undefined)
    assert.equal(confirmedAcr(trusting, 'urn:loa2', undefined), 'urn:loa2')
    assert.equal(confirmedAcr(acme, 'acme', undefined), 'acme')
    assert.equal(confirmedAcr(acme, 'passport_social', undefined), 'passport_social')
    assert.equal(confirmedAcr(acme, undefined, 'urn:loa2'), undefined)
  })

  test('a place without its client', () => {
    assert.equal(providerAt({ path: '/acme' }, all)?.id, 'acme')
    assert.equal(providerAt({ host: 'acme.id.example.org.' }, all)?.id, 'acme')
    assert.equal(providerAt({ path: '/off/authorize' }, all), undefined)
    assert.equal(providerAt({}, all), undefined)
  })

  test('several providers of one domain are all offered', () => {
    const twin = provider('twin', { emailDomains: ['acme.org'] })
    assert.deepEqual(providersForEmail('a@acme.org', [acme, twin]), ['acme', 'twin'])
  })
})
