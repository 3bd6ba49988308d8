/** Inputs that nobody thought of (generated.ts), in the steps of a sign-in: no 5xx, no markup, no page that breaks. */
import { test } from 'node:test'
import { attackAll, openVictim } from './generated.ts'

test('generated input for the steps of a sign-in', async (t) => attackAll(t, await openVictim(), 'sign-in'))
