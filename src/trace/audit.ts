/** The audit trail: who did what, durable in the directory and one line in the log. Types are listed in docs/trace.md. */
import type { Clock } from '#kernel/clock.ts'
import { type Log, redact } from '#kernel/log.ts'
import type { AuditEvent, Directory } from '#kernel/ports.ts'

export type Audit = (event: Omit<AuditEvent, 'at'>) => void

/** Written behind the caller: an audit write in flight is awaited by `settled` at shutdown; one that fails is logged. */
export const createAudit = (
  directory: Directory,
  log: Log,
  clock: Clock,
): { audit: Audit; settled(): Promise<void> } => {
  const pending = new Set<Promise<void>>()
  return {
    audit(event) {
      const whole: AuditEvent = {
        at: clock.now(),
        ...event,
        ...(event.detail && { detail: redact(event.detail) as Record<string, unknown> }),
      }
      log.info('audit', { ...whole })
      const write = directory
        .append(whole)
        .catch((cause) => log.error('audit.lost', { type: event.type, cause }))
        .finally(() => pending.delete(write))
      pending.add(write)
    },
    settled: async () => void (await Promise.allSettled(pending)),
  }
}
