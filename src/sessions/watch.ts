/**
 * Accounts and clients that are disabled or removed: their sessions end, by whichever process made the change. A change
 * that another process made is that process's to follow up; what it missed ends with the session's time.
 */
import type { Records } from '#directory/records.ts'
import type { Log } from '#kernel/log.ts'
import type { Sessions } from './ending.ts'

/** @returns `settled` waits for what is under way; `close` also stops listening */
export const watchRecords = (given: {
  readonly records: Pick<Records, 'accounts' | 'clients' | 'onChange'>
  readonly sessions: Sessions
  readonly log: Log
}): { close(): Promise<void> } => {
  const { records, sessions, log } = given
  const running = new Set<Promise<void>>()

  const account = async (accountId: string) => {
    const found = await records.accounts.get(accountId)
    if (found && !found.disabled) return
    await sessions.endAccount(accountId, { cause: found ? 'disabled' : 'removed' })
    // Refused while it is disabled; gone with the account.
    if (!found) await sessions.revokeGrants({ accountId })
  }
  const client = async (clientId: string) => {
    const found = await records.clients.get(clientId)
    if (found && !found.disabled) return
    await sessions.endClient(clientId, { cause: found ? 'disabled' : 'removed' })
    if (!found) await sessions.revokeGrants({ clientId })
  }
  const follow: Readonly<Record<string, (id: string) => Promise<void>>> = { account, client }

  const stop = records.onChange((kind, id) => {
    const work = id === undefined ? undefined : follow[kind]?.(id)
    if (!work) return
    const safe: Promise<void> = work
      .catch((cause: unknown) => log.error('sessions.follow-failed', { kind, id, cause }))
      .finally(() => running.delete(safe))
    running.add(safe)
  })
  return {
    async close() {
      stop()
      await Promise.all(running)
    },
  }
}
