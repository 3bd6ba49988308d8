/** Inputs that nobody thought of (generated.ts), where a second factor is set up and asked for: no 5xx, no markup. */
import { test } from 'node:test'
import { attackAll, openVictim } from './generated.ts'

test('generated input for the second factor', async (t) => attackAll(t, await openVictim(), 'second factor'))
