/** Addresses and networks: every spelling of one place has one name. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { networkOf, plainAddress } from '#kernel/network.ts'

describe('one spelling per address', () => {
  for (const [written, plain] of [
    ['192.0.2.1', '192.0.2.1'],
    [' 192.0.2.1 ', '192.0.2.1'],
    ['192.0.2.1:5678', '192.0.2.1'],
    ['::FFFF:127.0.0.1', '127.0.0.1'],
    ['::ffff:7f00:1', '127.0.0.1'],
    ['0:0:0:0:0:FFFF:192.0.2.1', '192.0.2.1'],
    ['[::ffff:c000:201]:443', '192.0.2.1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[2001:DB8::7]', '2001:db8::7'],
    ['[2001:DB8::7]:443', '2001:db8::7'],
    ['2001:0db8:0000:0000:0000:0000:0000:0007', '2001:db8::7'],
    ['localhost', undefined],
    ['', undefined],
    ['0x7f.1', undefined],
    ['127.1', undefined],
    ['010.0.0.1', undefined],
    ['[192.0.2.1', undefined],
    ['192.0.2.1:99999999', undefined],
  ] as const)
    test(JSON.stringify(written), () => assert.equal(plainAddress(written), plain))
})

describe('one name per network', () => {
  for (const [written, network] of [
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1:80', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['[::ffff:192.0.2.1]:443', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['[2001:db8::1]:443', '2001:db8:0:0::/64'],
    ['2001:0DB8:0000:0000:1:2:3:4', '2001:db8:0:0::/64'],
    ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['unknown', 'unknown'],
    ['', ''],
  ] as const)
    test(JSON.stringify(written), () => assert.equal(networkOf(written), network))
})
