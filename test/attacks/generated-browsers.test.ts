/** Inputs that nobody thought of (generated.ts), where applications send browsers: no 5xx, no markup, the right OAuth error. */
import { test } from 'node:test'
import { attackAll, attackPaths, openVictim } from './generated.ts'

test('generated input for browsers', async (t) => attackAll(t, await openVictim(), 'browsers'))

test('any path at all', async () => attackPaths(await openVictim()))
