/** `account otp`: whether an account has one-time codes, and taking them away from who lost them. */
import { findAccount } from './accounts.ts'
import { withStores } from './configuration.ts'
import { instant, printJson } from './print.ts'
import type { Shell } from './seams.ts'

interface Flags {
  readonly config?: string
  readonly json?: boolean
}

export const showOtp = (shell: Shell, name: string, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened) => {
    const { id } = await findAccount(opened, name)
    const credential = await opened.records.credentials.get(id, 'otp')
    const facts = credential
      ? {
          account: id,
          enrolled: instant(credential.createdAt),
          used: instant(credential.usedAt),
          recoveryCodes: credential.recoveryCodes.length,
        }
      : { account: id, enrolled: false }
    if (flags.json) printJson(shell.io, facts)
    else for (const [fact, value] of Object.entries(facts)) shell.io.out(`${fact}: ${String(value ?? '')}\n`)
    return 0
  })

export const resetOtp = (shell: Shell, name: string, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened) => {
    const { id, username } = await findAccount(opened, name)
    const removed = await opened.records.credentials.remove(id, 'otp')
    if (removed) opened.audit({ type: 'credential.removed', account: id, detail: { method: 'otp' } })
    if (flags.json) printJson(shell.io, { account: id, removed })
    else
      shell.io.out(removed ? `${username} can set up one-time codes anew.\n` : `${username} has no one-time codes.\n`)
    return 0
  })
