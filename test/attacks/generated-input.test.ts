/** Inputs that nobody thought of (generated.ts), where software asks: no 5xx, no markup, the right OAuth error. */
import { test } from 'node:test'
import { attackAll, openVictim } from './generated.ts'

test('generated input for software', async (t) => attackAll(t, await openVictim(), 'software'))
