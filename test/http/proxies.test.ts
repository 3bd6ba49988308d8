/** Who the client is, seen through proxies: a table of headers and what may be believed of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientAddress, createTrust, type TrustProxy } from '#http/proxies.ts'

const cases: [why: string, trust: TrustProxy, peer: string, header: string | undefined, expected: string][] = [
  ['nobody is trusted: the header is ignored', false, '10.0.0.1', '1.2.3.4', '10.0.0.1'],
  ['no header', true, '10.0.0.1', undefined, '10.0.0.1'],
  ['one trusted proxy', ['10.0.0.0/8'], '10.0.0.1', '1.2.3.4', '1.2.3.4'],
  ['a client that writes the header itself', ['10.0.0.0/8'], '10.0.0.1', '6.6.6.6, 1.2.3.4', '1.2.3.4'],
  ['two trusted proxies', ['10.0.0.0/8'], '10.0.0.1', '1.2.3.4, 10.9.9.9', '1.2.3.4'],
  ['all are trusted: the leftmost', true, '10.0.0.1', '6.6.6.6, 1.2.3.4', '6.6.6.6'],
  ['the peer is no trusted proxy', ['10.0.0.0/8'], '9.9.9.9', '1.2.3.4', '9.9.9.9'],
  ['rubbish ends the walk at the proxy', ['10.0.0.0/8'], '10.0.0.1', 'a', '10.0.0.1'],
  ['rubbish in the middle', ['10.0.0.0/8'], '10.0.0.1', '1.2.3.4, unknown, 10.2.2.2', '10.2.2.2'],
  ['an empty header', ['10.0.0.0/8'], '10.0.0.1', '', '10.0.0.1'],
  ['only commas', ['10.0.0.0/8'], '10.0.0.1', ',,', '10.0.0.1'],
  ['IPv4-mapped peer', ['10.0.0.0/8'], '::ffff:10.0.0.1', '1.2.3.4', '1.2.3.4'],
  ['IPv4-mapped entry', ['10.0.0.0/8'], '10.0.0.1', '::ffff:1.2.3.4', '1.2.3.4'],
  ['a port at the address', ['10.0.0.0/8'], '10.0.0.1', '1.2.3.4:5678', '1.2.3.4'],
  ['IPv6 in brackets with a port', ['fd00::/8'], 'fd00::1', '[2001:DB8::7]:443', '2001:db8::7'],
  ['a single address as network', ['10.0.0.1'], '10.0.0.1', '1.2.3.4', '1.2.3.4'],
  ['number tricks are no addresses', ['10.0.0.0/8'], '10.0.0.1', '0x7f.1', '10.0.0.1'],
]

for (const [why, trust, peer, header, expected] of cases)
  test(why, () => assert.equal(clientAddress(peer, header, createTrust(trust)), expected))

test('a network that is none is refused at start', () => {
  for (const wrong of ['proxy.local', '', '10.0.0.300/8', '10.0.0.0/99']) assert.throws(() => createTrust([wrong]))
})
