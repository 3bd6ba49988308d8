/** `keys`: the signing keys of a directory, also while servers run on it: they notice through the bus. */
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { keyringOf } from '#config/keys.ts'
import { stateAt } from '#directory/key-times.ts'
import type { SigningKey } from '#directory/records.ts'
import { systemClock } from '#kernel/clock.ts'
import { withStores } from './configuration.ts'
import { instant, printJson, printTable } from './print.ts'
import { CliError, type Io, type Shell } from './seams.ts'

interface Flags {
  readonly config?: string
  readonly json?: boolean
}

/** RFC 7518 6.2.2, 6.3.2, 6.4.1; RFC 8037 2. */
const privateMembers = new Set(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])

const publicJwk = ({ jwk }: SigningKey): Record<string, unknown> =>
  Object.fromEntries(Object.entries(jwk).filter(([name]) => !privateMembers.has(name)))

const summary = (key: SigningKey) => ({
  kid: key.kid,
  alg: key.alg,
  state: stateAt(key, systemClock.now()),
  publishAt: instant(key.publishAt),
  activateAt: instant(key.activateAt),
  retireAt: instant(key.retireAt),
  dropAt: instant(key.dropAt),
})

const show = (io: Io, keys: readonly SigningKey[], { json }: Flags) => {
  const rows = keys.map(summary)
  if (json) return printJson(io, { keys: rows })
  printTable(
    io,
    ['ALG', 'STATE', 'SIGNS FROM', 'RETIRES', 'GONE', 'KID'],
    rows.map(({ alg, state, activateAt, retireAt, dropAt, kid }) => [alg, state, activateAt, retireAt, dropAt, kid]),
  )
}

export const listKeys = (shell: Shell, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async ({ records }) => {
    await records.keys.published()
    show(shell.io, await records.keys.all(), flags)
    return 0
  })

export const rotateKeys = (shell: Shell, flags: Flags & { alg?: string }): Promise<number> =>
  withStores(shell, flags.config, async ({ records }, { settings }) => {
    const { algorithms } = keyringOf(settings)
    if (flags.alg !== undefined && !algorithms.some((alg) => alg === flags.alg))
      throw new CliError(`There is no key for ${flags.alg}: choose one of ${algorithms.join(', ')}.`)
    // The first set, where there is none: otherwise there is nothing to rotate.
    await records.keys.published()
    show(shell.io, await records.keys.rotate(flags.alg), flags)
    return 0
  })

export const retireKey = (shell: Shell, kid: string, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async ({ records }) => {
    if (!(await records.keys.all()).some((key) => key.kid === kid))
      throw new CliError(`There is no key ${kid}: see \`gatehouse keys list\`.`)
    await records.keys.retire(kid)
    show(shell.io, await records.keys.all(), flags)
    return 0
  })

/** The public keys only; private ones never leave the directory. */
export const exportKeys = (shell: Shell, flags: Flags & { pem?: boolean }): Promise<number> =>
  withStores(shell, flags.config, async ({ records }) => {
    const keys = (await records.keys.published()).map(publicJwk)
    if (!flags.pem) printJson(shell.io, { keys })
    else
      for (const jwk of keys)
        shell.io.out(
          createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }).export({ type: 'spki', format: 'pem' }) as string,
        )
    return 0
  })
